"""The text of P1 ports (IEC 62056-21 mode D; DSMR, eMUCS and their like): from lines to readings."""
