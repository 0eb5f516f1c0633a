/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define BOARD_NAME "test-board"
#define SKIPPED 77

_Thread_local long long test_note;

/* ---------------------------------------------------------------- checks */

_Noreturn void require_failed(const char *file, int line, const char *what)
{
    dprintf(2, "%s:%d: process %d, note %lld: not so: %s\n", file, line, (int)getpid(), test_note, what);
    _exit(1);
}

void require_equal_at(const char *file, int line, const char *what, long long expected, long long actual)
{
    if (expected == actual)
        return;
    dprintf(2, "%s:%d: process %d, note %lld: %s is %lld, not %lld\n", file, line, (int)getpid(), test_note, what, actual, expected);
    _exit(1);
}

void require_code_at(const char *file, int line, const char *what, int expected, int actual)
{
    if (expected == actual)
        return;
    int cause = errno;
    dprintf(2, "%s:%d: process %d, note %lld: %s gave %s (%d), not %s; errno %d\n", file, line, (int)getpid(), test_note, what,
            rill_error_name(actual), actual, rill_error_name(expected), cause);
    _exit(1);
}

/* ---------------------------------------------------------------- tests */

bool full_scale(void)
{
    const char *scale = getenv("RILL_TEST_SCALE");
    return scale && strcmp(scale, "full") == 0;
}

size_t rounds(size_t count)
{
    return SANITIZED ? (count + 9) / 10 : count;
}

unsigned patience(unsigned seconds)
{
    const char *factor = getenv("RILL_TEST_PATIENCE");
    unsigned times = factor ? (unsigned)strtoul(factor, NULL, 10) : 1;
    return seconds * (times ? times : 1) * (SANITIZED ? 4 : 1);
}

_Noreturn void skip_test(const char *why)
{
    dprintf(2, "skipped: %s\n", why);
    _exit(SKIPPED);
}

void need_true_limits(void)
{
    if (getenv("RILL_TEST_EMULATED"))
        skip_test("descriptors are counted by an emulator");
}

/* cmocka catches these and jumps to its runner, which in a child would take a crash for one more test of the parent's. */
static void let_crashes_kill(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; !SANITIZED && i < COUNT_OF(signals); i++)
        (void)signal(signals[i], SIG_DFL);
}

static _Noreturn void run_in_child(const struct test *test)
{
    let_crashes_kill();
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(patience(test->seconds ? test->seconds : 30));
    size_t descriptors = count_descriptors();
    size_t names = count_shm_names();
    test->body(test->argument);
    test_note = -1;
    (void)rill_trim(); /* what is kept for channels to come */
    require_equal(descriptors, count_descriptors());
    require_equal(0, count_shared_mappings());
    require_equal(names, count_shm_names());
    exit(0);
}

/* What a test finds empty at its start. */
static struct board *common_board;

static void run_apart(void **state)
{
    const struct test *test = *state;
    if (common_board)
        memset(common_board, 0, sizeof *common_board);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        fail_msg("fork: %s", strerror(errno));
    if (child == 0)
        run_in_child(test);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    kill(-child, SIGKILL); /* what a failed test may have left running */
    if (WIFSIGNALED(status))
        fail_msg("ended by signal %d%s", WTERMSIG(status), WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    if (WEXITSTATUS(status) != 0)
        fail_msg("ended with %d", WEXITSTATUS(status));
}

int run_group(const char *group, const struct test *tests, size_t count)
{
    struct CMUnitTest *units = calloc(count + 1, sizeof *units);
    if (!units)
        return 1;
    for (size_t i = 0; i < count; i++) {
        units[i].name = tests[i].name;
        units[i].test_func = run_apart;
        units[i].initial_state = (void *)(uintptr_t)&tests[i];
    }
    int failed = _cmocka_run_group_tests(group, units, count, NULL, NULL);
    free(units);
    return failed;
}

int run_group_on(struct board *board, const char *group, const struct test *tests, size_t count)
{
    common_board = board;
    return run_group(group, tests, count);
}

/* ---------------------------------------------------------------- contents */

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

uint64_t roll(struct dice *dice)
{
    dice->state += 0x9e3779b97f4a7c15u;
    return mix(dice->state);
}

uint64_t roll_between(struct dice *dice, uint64_t low, uint64_t high)
{
    return low + roll(dice) % (high - low + 1);
}

#define STEP 0x9e3779b97f4a7c15u

void fill(void *bytes, size_t size, uint64_t seed)
{
    unsigned char *out = bytes;
    uint64_t word = mix(seed + STEP);
    size_t at = 0;
    for (; at + sizeof word <= size; at += sizeof word, word += STEP)
        memcpy(out + at, &word, sizeof word);
    if (at < size)
        memcpy(out + at, &word, size - at);
}

bool filled(const void *bytes, size_t size, uint64_t seed)
{
    const unsigned char *in = bytes;
    uint64_t word = mix(seed + STEP);
    uint64_t seen, difference = 0;
    size_t at = 0;
    for (; at + sizeof word <= size; at += sizeof word, word += STEP) {
        memcpy(&seen, in + at, sizeof seen);
        difference |= seen ^ word;
    }
    return difference == 0 && (at == size || memcmp(in + at, &word, size - at) == 0);
}

void stamp(void *bytes, size_t size, uint64_t sender, uint64_t number)
{
    uint64_t head[3] = {sender, number, size};
    require(size >= sizeof head);
    memcpy(bytes, head, sizeof head);
    fill((unsigned char *)bytes + sizeof head, size - sizeof head, mix(sender) ^ number);
}

bool stamped(const void *bytes, size_t size, uint64_t *sender, uint64_t *number)
{
    uint64_t head[3];
    if (size < sizeof head)
        return false;
    memcpy(head, bytes, sizeof head);
    *sender = head[0];
    *number = head[1];
    return head[2] == size && filled((const unsigned char *)bytes + sizeof head, size - sizeof head, mix(head[0]) ^ head[1]);
}

int send_filled(rill_sender *sender, size_t size, uint64_t seed)
{
    unsigned char *bytes = malloc(size + 1);
    require(bytes != NULL);
    fill(bytes, size, seed);
    int result = rill_send(sender, bytes, size);
    free(bytes);
    return result;
}

void require_message(rill_message **message, size_t size, uint64_t seed)
{
    const void *data = rill_message_data(*message);
    require(data != NULL);
    require_equal(0, (uintptr_t)data % 8);
    require_equal(size, rill_message_size(*message));
    require(filled(data, size, seed));
    require_ok(rill_message_close(message));
    require(*message == NULL);
}

void receive_filled(rill_receiver *receiver, size_t size, uint64_t seed)
{
    rill_message *message = NULL;
    require_ok(rill_recv(receiver, &message));
    require_message(&message, size, seed);
}

int send_number(rill_sender *sender, uint64_t number)
{
    return rill_send(sender, &number, sizeof number);
}

uint64_t take_number(rill_message **message)
{
    uint64_t number;
    require_equal(sizeof number, rill_message_size(*message));
    memcpy(&number, rill_message_data(*message), sizeof number);
    require_ok(rill_message_close(message));
    return number;
}

uint64_t receive_number(rill_receiver *receiver)
{
    rill_message *message = NULL;
    require_ok(rill_recv(receiver, &message));
    return take_number(&message);
}

/* ---------------------------------------------------------------- what threads and processes of a test share */

void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED);
    return memory;
}

struct board *board_map(int descriptor)
{
    void *memory = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    require(memory != MAP_FAILED);
    return memory;
}

struct board *board_make(int *descriptor)
{
    if (!descriptor)
        return shared_memory(sizeof(struct board));
    *descriptor = memfd_create(BOARD_NAME, 0);
    require(*descriptor >= 0);
    require(ftruncate(*descriptor, sizeof(struct board)) == 0);
    return board_map(*descriptor);
}

static void futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

void flag_raise(struct board *board, unsigned slot)
{
    atomic_store(&board->flag[slot], 1);
    futex(&board->flag[slot], FUTEX_WAKE, INT32_MAX);
}

bool flag_raised(struct board *board, unsigned slot)
{
    return atomic_load(&board->flag[slot]) != 0;
}

void flag_wait(struct board *board, unsigned slot)
{
    while (!flag_raised(board, slot))
        futex(&board->flag[slot], FUTEX_WAIT, 0);
}

void announce(struct board *board, unsigned slot)
{
    atomic_store(&board->value[slot], (uint64_t)getpid() << 32 | (uint64_t)gettid());
}

void wait_until_announced(struct board *board, unsigned slot)
{
    while (atomic_load(&board->value[slot]) == 0)
        sched_yield();
}

/* The state letter of a thread, and how often it has left the CPU. */
static char thread_state(pid_t process, pid_t thread, unsigned long *switches)
{
    char path[96], line[256], state = '?';
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)process, (int)thread);
    FILE *file = fopen(path, "re");
    if (!file)
        return '?';
    *switches = 0;
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "State: %c", &state);
        sscanf(line, "voluntary_ctxt_switches: %lu", switches);
    }
    fclose(file);
    return state;
}

void wait_until_asleep(struct board *board, unsigned slot)
{
    wait_until_announced(board, slot);
    uint64_t name = atomic_load(&board->value[slot]);
    pid_t process = (pid_t)(name >> 32), thread = (pid_t)(name & 0xffffffff);
    unsigned long last = 0, now = 0;
    for (int calm = 0; calm < 3; last = now, sched_yield())
        calm = thread_state(process, thread, &now) == 'S' && now == last ? calm + 1 : 0;
}

/* ---------------------------------------------------------------- processes */

pid_t fork_child(void)
{
    fflush(NULL);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

static int wait_for(pid_t child, int options)
{
    int status = 0;
    pid_t found;
    do
        found = waitpid(child, &status, options);
    while (found < 0 && errno == EINTR);
    require_equal(child, found);
    return status;
}

void join_child(pid_t child)
{
    int status = wait_for(child, 0);
    require(WIFEXITED(status));
    require_equal(0, WEXITSTATUS(status));
}

void kill_child(pid_t child)
{
    require(kill(child, SIGKILL) == 0);
    int status = wait_for(child, 0);
    require(WIFSIGNALED(status));
    require_equal(SIGKILL, WTERMSIG(status));
}

void stop_child(pid_t child)
{
    require(kill(child, SIGSTOP) == 0);
    require(WIFSTOPPED(wait_for(child, WUNTRACED)));
}

/* ---------------------------------------------------------------- the machine */

static size_t count_names(const char *path, const char *part)
{
    DIR *folder = opendir(path);
    size_t count = 0;
    if (!folder)
        return 0;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += strstr(entry->d_name, part) != NULL;
    closedir(folder);
    return count;
}

size_t count_descriptors(void)
{
    return count_names("/proc/self/fd", "") - 3; /* ".", ".." and the folder itself */
}

size_t count_shm_names(void)
{
    return count_names("/dev/shm", "rill");
}

static bool maps_shared(const char *line)
{
    return strstr(line, "/memfd:") && !strstr(line, "/memfd:" BOARD_NAME);
}

static bool maps_any(const char *line)
{
    return line[0] != '\0';
}

static size_t scan_maps_of(const char *path, bool (*counts)(const char *), size_t *bytes)
{
    char line[512];
    size_t count = 0;
    FILE *maps = fopen(path, "re");
    require(maps != NULL);
    *bytes = 0;
    while (fgets(line, sizeof line, maps)) {
        size_t from, to;
        if (!counts(line) || sscanf(line, "%zx-%zx", &from, &to) != 2)
            continue;
        count++;
        *bytes += to - from;
    }
    fclose(maps);
    return count;
}

static size_t scan_maps(bool (*counts)(const char *), size_t *bytes)
{
    return scan_maps_of("/proc/self/maps", counts, bytes);
}

size_t count_shared_mappings_of(pid_t process)
{
    size_t bytes;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)process);
    return scan_maps_of(path, maps_shared, &bytes);
}

size_t count_shared_mappings(void)
{
    size_t bytes;
    return scan_maps(maps_shared, &bytes);
}

size_t count_mappings(void)
{
    size_t bytes;
    return scan_maps(maps_any, &bytes);
}

size_t shared_mapped_bytes(void)
{
    size_t bytes;
    scan_maps(maps_shared, &bytes);
    return bytes;
}

/* The memory of the memfd that a name in /proc/self/fd stands for, 0 if it is something else. */
static size_t memory_of(const char *name, ino_t *inode)
{
    char path[300], target[300];
    struct stat status;
    snprintf(path, sizeof path, "/proc/self/fd/%.16s", name);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0)
        return 0;
    target[length] = '\0';
    if (!maps_shared(target) || stat(path, &status) != 0)
        return 0;
    *inode = status.st_ino;
    return (size_t)status.st_blocks * 512;
}

size_t shared_memory_bytes(void)
{
    ino_t seen[256];
    size_t count = 0, total = 0;
    DIR *folder = opendir("/proc/self/fd");
    require(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        ino_t inode = 0;
        size_t bytes = memory_of(entry->d_name, &inode), i = 0;
        while (i < count && seen[i] != inode)
            i++;
        if (bytes == 0 || i < count || count == COUNT_OF(seen))
            continue;
        seen[count++] = inode;
        total += bytes;
    }
    closedir(folder);
    return total;
}

int64_t thread_cpu(void)
{
    struct timespec time;
    require(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
    return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

long thread_sleeps(void)
{
    struct rusage usage;
    require(getrusage(RUSAGE_THREAD, &usage) == 0);
    return usage.ru_nvcsw;
}

size_t memory_available(void)
{
    char line[128];
    size_t kilobytes = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    require(file != NULL);
    while (fgets(line, sizeof line, file) && sscanf(line, "MemAvailable: %zu", &kilobytes) != 1)
        continue;
    fclose(file);
    return kilobytes * KIB;
}

/* ---------------------------------------------------------------- signals */

static timer_t pester_timer;
static atomic_uint pester_signals;

static void on_pester(int number)
{
    (void)number;
    atomic_fetch_add(&pester_signals, 1);
}

void pester_start(int64_t period)
{
    struct sigaction action = {.sa_handler = on_pester};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec times = {.it_interval = {.tv_nsec = (long)period}, .it_value = {.tv_nsec = (long)period}};
#ifdef sigev_notify_thread_id
    event.sigev_notify_thread_id = gettid();
#else
    event._sigev_un._tid = gettid();
#endif
    require(sigaction(SIGUSR1, &action, NULL) == 0);
    require(timer_create(CLOCK_MONOTONIC, &event, &pester_timer) == 0);
    require(timer_settime(pester_timer, 0, &times, NULL) == 0);
}

void pester_stop(void)
{
    require(timer_delete(pester_timer) == 0);
}

unsigned pester_count(void)
{
    return atomic_load(&pester_signals);
}
