#include "load.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

atomic_bool load_stop;

static void on_signal(int number) {
  (void)number;
  atomic_store(&load_stop, true);
}

void load_signals_install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  int failed = sigaction(SIGINT, &action, NULL) | sigaction(SIGTERM, &action, NULL);
  action.sa_handler = SIG_IGN;
  failed |= sigaction(SIGPIPE, &action, NULL);
  assert(failed == 0);
}

int load_complain(const char *format, ...) {
  assert(format != NULL);
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "domicile-load: %s\n", text);
  return LOAD_FAILED;
}
