// Lets an addon that is linked on a new Linux run on glibc 2.28, which is what
// LibTorch itself needs. The linker sends every call named here to its __wrap_
// (CMakeLists.txt lists them too), and that takes the symbol's oldest version,
// or does without. `npm run check:package` names what is missing.
#include <cstddef>
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

#include <dlfcn.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#if defined(__x86_64__)
#define DECLIP_GLIBC "GLIBC_2.2.5"
#define DECLIP_GLIBC_CONDITIONS "GLIBC_2.3.2"
#define DECLIP_STAT_VERSION 1
#elif defined(__aarch64__)
#define DECLIP_GLIBC "GLIBC_2.17"
#define DECLIP_GLIBC_CONDITIONS "GLIBC_2.17"
#define DECLIP_STAT_VERSION 0
#else
#error \
    "The oldest versions of glibc's symbols are not known for this processor."
#endif

#define DECLIP_OLD(result, name, parameters, version) \
  extern "C" result declip_old_##name parameters;     \
  __asm__(".symver declip_old_" #name "," #name "@" version)

DECLIP_OLD(double, exp, (double), DECLIP_GLIBC);
DECLIP_OLD(double, log, (double), DECLIP_GLIBC);
DECLIP_OLD(double, pow, (double, double), DECLIP_GLIBC);
DECLIP_OLD(double, hypot, (double, double), DECLIP_GLIBC);
DECLIP_OLD(int, __fxstat, (int, int, struct stat*), DECLIP_GLIBC);
DECLIP_OLD(int, __xstat, (int, const char*, struct stat*), DECLIP_GLIBC);
DECLIP_OLD(void*, dlopen, (const char*, int), DECLIP_GLIBC);
DECLIP_OLD(void*, dlsym, (void*, const char*), DECLIP_GLIBC);
DECLIP_OLD(int, dladdr, (const void*, Dl_info*), DECLIP_GLIBC);
DECLIP_OLD(int, pthread_once, (pthread_once_t*, void (*)()), DECLIP_GLIBC);
DECLIP_OLD(int,
           pthread_cond_timedwait,
           (pthread_cond_t*, pthread_mutex_t*, const timespec*),
           DECLIP_GLIBC_CONDITIONS);
// std::condition_variable::wait, which was given a new version when it stopped
// throwing.
extern "C" void declip_old_wait(void* condition, void* lock);
__asm__(
    ".symver declip_old_wait,"
    "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11");

extern "C" {

// Of glibc 2.32; libstdc++ reads it to do without atomic operations while there
// is one thread.
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;

double __wrap_exp(double x) { return declip_old_exp(x); }

double __wrap_log(double x) { return declip_old_log(x); }

double __wrap_pow(double x, double y) { return declip_old_pow(x, y); }

double __wrap_hypot(double x, double y) { return declip_old_hypot(x, y); }

int __wrap_fstat(int file, struct stat* to) {
  return declip_old___fxstat(DECLIP_STAT_VERSION, file, to);
}

int __wrap_stat(const char* path, struct stat* to) {
  return declip_old___xstat(DECLIP_STAT_VERSION, path, to);
}

void* __wrap_dlopen(const char* path, int mode) {
  return declip_old_dlopen(path, mode);
}

void* __wrap_dlsym(void* library, const char* name) {
  return declip_old_dlsym(library, name);
}

int __wrap_dladdr(const void* address, Dl_info* to) {
  return declip_old_dladdr(address, to);
}

int __wrap_pthread_once(pthread_once_t* once, void (*work)()) {
  return declip_old_pthread_once(once, work);
}

/** Of glibc 2.30: waits until a time of any clock. Conditions themselves wait
 * by the real time. */
int __wrap_pthread_cond_clockwait(pthread_cond_t* condition,
                                  pthread_mutex_t* mutex,
                                  clockid_t clock,
                                  const timespec* until) {
  if (clock == CLOCK_REALTIME)
    return declip_old_pthread_cond_timedwait(condition, mutex, until);
  timespec now, real;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &real);
  constexpr long second = 1'000'000'000;
  real.tv_sec += until->tv_sec - now.tv_sec;
  real.tv_nsec += until->tv_nsec - now.tv_nsec;
  if (real.tv_nsec < 0) {
    real.tv_sec -= 1;
    real.tv_nsec += second;
  } else if (real.tv_nsec >= second) {
    real.tv_sec += 1;
    real.tv_nsec -= second;
  }
  return declip_old_pthread_cond_timedwait(condition, mutex, &real);
}

void __wrap__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(
    void* condition, void* lock) {
  declip_old_wait(condition, lock);
}

}  // extern "C"

#endif
