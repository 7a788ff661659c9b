/* Ranks of a communicator that share memory: they read and write each other's arenas in place, and
 * meet on boards. Implemented on processes that map each other's arenas and on simulated ranks.
 * All of it is made when a communicator is first asked; after that nothing here communicates. */
#ifndef DTENSOR_COMM_NODE_H_
#define DTENSOR_COMM_NODE_H_

#include "dtensor/comm/comm.h"

typedef struct dti_node dti_node;

/* The members of comm that share memory with this rank, itself included. Collective over comm on
 * first use, then local. *node is NULL where this rank has nobody to share with: alone on its node,
 * or one of the node cannot share (dti_comm_node_reason() says why); all ranks of a node get the
 * same. Borrowed: it lives as long as comm. */
dtensor_status dti_comm_node(dti_comm *comm, dti_node **node);

/* 1 if all ranks of comm share memory; 0 also before dti_comm_node(). */
int dti_comm_is_near(const dti_comm *comm);

/* After dti_comm_node(): "" where memory is shared, else why it is not, as a sentence. */
const char *dti_comm_node_reason(const dti_comm *comm);

/* After dti_comm_node(): 1 if the ranks of every node of comm share memory, also where a rank is
 * alone. The same on all ranks. */
int dti_comm_nodes_share(const dti_comm *comm);

/* Where ranks live: nodes are numbered 0, 1, ... in the order of their lowest rank. Local. */
int dti_comm_nodes(const dti_comm *comm);
int dti_comm_node_of(const dti_comm *comm, int rank);

int dti_node_size(const dti_node *node);
int dti_node_rank(const dti_node *node); /* this rank's number among the members */

/* The number of a rank of comm among the members, or -1, and back. Members are in rank order. */
int dti_node_member(const dti_node *node, int rank);
int dti_node_comm_rank(const dti_node *node, int member);

/* 1 if this rank shares processors with others, so that whoever waits keeps them from running. */
int dti_node_shares_cpus(const dti_node *node);

/* An address that every member can use, of memory of this rank or of another member; -1 if not all
 * of it is shared, as a user's own array is not. It means the same until the memory is freed. */
int64_t dti_node_export(const dti_node *node, const void *data, size_t bytes);
void *dti_node_import(const dti_node *node, int member, int64_t exported);

/* ---- Meetings: each has a number, the same on all members, as they ask in the same order. A
 * member posts what it brings, reads what the others have posted, and leaves when it needs nobody's
 * memory any more. Several may be under way. Whoever has posted must leave: nobody can post
 * DTI_MEETINGS later before that. ---- */

enum { DTI_MEETING_BYTES = 560, DTI_MEETINGS = 64 };
enum { DTI_COPIES = 4, DTI_COPY_BYTES = 16 << 10 };

uint64_t dti_node_next_meeting(dti_node *node);

/* Whether a meeting may be left yet: 0 if this rank is in one that is 64 boards further back. */
int dti_node_can_take(const dti_node *node, uint64_t meeting);

/* 1 when the place on the board is free: all members have left this meeting - DTI_MEETINGS. Only
 * then write to the desk and post. */
int dti_node_can_post(const dti_node *node, uint64_t meeting);

/* DTI_MEETING_BYTES of this member's own, from 16 bytes behind the beginning of a cache line on.
 * What lies in that line comes to others together with the news of the post. */
void *dti_node_desk(dti_node *node, uint64_t meeting);

/* Room for a copy of what this rank brings to a meeting that it can post, so that it need not wait
 * for the others to leave: the copy stays until they have. It begins at a cache line. NULL if there
 * is no room now, or to wait takes less time than to copy so much. */
void *dti_node_room_for_copy(dti_node *node, uint64_t meeting, size_t bytes);

/* Who sees the post sees the desk, and all that this rank wrote to memory before. */
void dti_node_post(dti_node *node, uint64_t meeting);
int dti_node_has_posted(const dti_node *node, uint64_t meeting, int member);
int dti_node_all_posted(const dti_node *node, uint64_t meeting);

/* What a member has posted; readable until this rank leaves. */
const void *dti_node_brought(const dti_node *node, uint64_t meeting, int member);

/* Who sees that a rank has left sees all that it wrote to memory before. */
void dti_node_leave(dti_node *node, uint64_t meeting);
int dti_node_has_left(const dti_node *node, uint64_t meeting, int member);
int dti_node_all_left(const dti_node *node, uint64_t meeting);

/* For waits that take long: DTENSOR_EMPI if the member's process or simulated rank has ended. It
 * may have posted or left before: look again, and take it for a failure if there is still nothing.
 * Cheap enough for every few hundred polls. */
dtensor_status dti_node_check(const dti_node *node, int member);

#endif
