/* Simulations that run in one thread. */
#ifndef DOMICILE_TESTS_LIB_ALONE_H
#define DOMICILE_TESTS_LIB_ALONE_H

/* Rounds of such a simulation. ThreadSanitizer slows them some thirty times and has no second thread to
 * compare with: a tenth shows that the instrumented program still works. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS_ALONE(n) ((n) < 10 ? 1 : (n) / 10)
#else
#define ROUNDS_ALONE(n) (n)
#endif

#endif
