"""cosemic: DLMS/COSEM (IEC 62056) for Python."""
