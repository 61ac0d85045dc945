/* What the opening handshake needs: the answer to a key (RFC 6455 section 4.2.2). */
#ifndef SHA1_H
#define SHA1_H

/* The size of a Sec-WebSocket-Accept with the zero at its end. */
enum { ACCEPT_SIZE = 29 };

/* Make the Sec-WebSocket-Accept for a Sec-WebSocket-Key of 24 characters. */
void accept_for_key(const char *key, char accept[ACCEPT_SIZE]);

/* Write 3 * n bytes as 4 * n base64 characters; the rest, if any, with padding. */
void base64(const unsigned char *bytes, unsigned size, char *out);

#endif
