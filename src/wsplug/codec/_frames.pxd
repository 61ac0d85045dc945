cpdef bytes encode_unmasked(int first, bytes payload)
cpdef bytes encode_text(int first, str text)
