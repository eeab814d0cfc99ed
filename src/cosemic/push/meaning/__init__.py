"""What the values of a push are called: definitions, object lists, OBIS codes beside values, layouts."""
