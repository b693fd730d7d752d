/* Regions: real `domicile serve` processes on random ports, for tests over the whole program.
 * The environment variable DOMICILE names the program. */
#ifndef DOMICILE_TESTS_UNIT_CLI_REGIONS_H
#define DOMICILE_TESTS_UNIT_CLI_REGIONS_H

#include "../serve/serve_testing.h"

#include <sys/types.h>

#include "auth/auth.h"
#include "wire/wire.h"

enum { REGIONS_MAX = 4 };
#define ACCESS   "AKIDEXAMPLE00001"
#define SECRET   "secret-of-the-example"
#define STRANGER "AKIDSTRANGER0001"
#define OPERATOR "OPERATOREXAMPLE1"

struct region_process {
  const char *name;
  unsigned port;
  pid_t pid; /* 0: not running */
  int out;   /* its stdout */
};
struct regions {
  struct scratch folder;
  size_t count;
  struct region_process at[REGIONS_MAX];
  struct wire_client *client;
};

/* Keys, configs and the three charters of the story for regions cn, sg, us and in; nothing runs yet. */
void regions_make(struct regions *d);
/* Ends what runs, removes all. */
void regions_free(struct regions *d);
/* Starts a region and waits until it says that it listens; `extra`: one more flag and its value, or NULL. */
void regions_start(struct regions *d, size_t i, const char *flag, const char *value);
/* Signals it and waits for its end. Returns: exit code, or 128 + the signal that ended it. */
int regions_stop(struct regions *d, size_t i, int signal);
/* Waits for its end. Returns: as regions_stop. */
int regions_wait(struct regions *d, size_t i);
/* Starts a daemon that is expected to give up by itself; its complaint goes to *out. Returns: exit code. */
int regions_refused(struct regions *d, struct buf *out, const char *const *argv);

/* Runs argv[0] to its end. Returns: exit code, or 128 + signal. */
int regions_run(struct buf *out, const char *const *argv);
/* The command line, "--data" of region i added. *out (may be NULL) gets stdout and stderr. Returns: exit
 * code. */
int regions_command(struct regions *d, size_t i, struct buf *out, const char *const *argv);
#define COMMAND(D, I, OUT, ...) regions_command(D, I, OUT, (const char *const[]){__VA_ARGS__, NULL})
/* The same, and it must succeed. */
#define COMMAND_OK(D, I, ...)                                                                                \
  do {                                                                                                       \
    BUF_AUTO said_ = BUF_INIT;                                                                               \
    int status_ = COMMAND(D, I, &said_, __VA_ARGS__);                                                        \
    if (status_ != 0) fail_msg("exit code %d: %s", status_, buf_str(&said_));                                \
  } while (0)

/* One answer. */
struct answer {
  unsigned status;
  char met[16];
  char code[64]; /* <Code> of an S3 error */
  struct buf body;
};
/* One signed request to region i; the answer's body must be released with buf_done. `access`: whose key,
 * NULL unsigned. */
void regions_ask(struct regions *d, size_t i, const char *access, const char *method, const char *target,
                 struct slice body, struct answer *out);
/* PUT as ACCESS; returns the status. */
unsigned regions_put(struct regions *d, size_t i, const char *target, const char *body);
/* GET as ACCESS: whether it is 200 with exactly this body. For threads, which cannot fail a test. */
bool regions_reads(struct regions *d, size_t i, const char *target, const char *body);
/* GET as ACCESS; fails unless 200 with exactly this body. */
void regions_expect(struct regions *d, size_t i, const char *target, const char *body);
/* Status of a GET as ACCESS. */
unsigned regions_status(struct regions *d, size_t i, const char *target);
/* Path of a file of the deployment. */
struct scratch_path regions_path(const struct regions *d, const char *name);

#endif
