/* When a job will be over, by the speed of the last minutes. Pure. */
#include <assert.h>

#include "move/job.h"

void eta_forget(struct eta *e) {
  e->count = 0;
}

void eta_note(struct eta *e, uint64_t now_ms, uint64_t subjects, uint64_t bytes) {
  assert(e->count <= ETA_SAMPLES);
  if (e->count && now_ms < e->sample[e->count - 1].at_ms + ETA_EVERY_MS) return;
  if (e->count == ETA_SAMPLES) {
    memmove(e->sample, e->sample + 1, (ETA_SAMPLES - 1) * sizeof e->sample[0]);
    e->count--;
  }
  e->sample[e->count++] = (struct eta_sample){.at_ms = now_ms, .subjects = subjects, .bytes = bytes};
}

static double left_ms(uint64_t left, uint64_t done, uint64_t took_ms) {
  return left && done ? (double)left * (double)took_ms / (double)done : 0;
}

uint64_t eta_left_ms(const struct eta *e, uint64_t now_ms, uint64_t subjects_done, uint64_t bytes_done,
                     uint64_t subjects_left, uint64_t bytes_left) {
  if (e->count == 0 || now_ms <= e->sample[0].at_ms) return 0;
  const struct eta_sample *from = &e->sample[0];
  if (subjects_done <= from->subjects) return 0;
  uint64_t took = now_ms - from->at_ms;
  double by_subjects = left_ms(subjects_left, subjects_done - from->subjects, took);
  double by_bytes =
      bytes_done > from->bytes ? left_ms(bytes_left, bytes_done - from->bytes, took) : by_subjects;
  double left = by_subjects > by_bytes ? by_subjects : by_bytes;
  return left < (double)(INT64_MAX / 2) ? (uint64_t)left : INT64_MAX / 2;
}
