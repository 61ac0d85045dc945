/* A chat's clients: who is in which room, and how the rooms fill. */
#ifndef CHAT_H
#define CHAT_H

#include "client.h"
#include "options.h"

/* The room that a client is in. Who speaks there is the client of the same number. */
unsigned chat_room(const struct client *client, const struct options *options);

/* Open all clients. Each has to be announced to all in its room, itself among them, by
 * the server's notice; the next one connects when they have all read that, so that all
 * is quiet in the end. */
void chat_open(struct client *clients, const struct options *options);

#endif
