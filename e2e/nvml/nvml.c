/* A libnvidia-ml.so.1 without a GPU: the functions that the launcher calls, answered from the text
   file that QWEN_NVML_FILE names. The file is read at each call, so a test can change it under a
   running launcher. For the format see __init__.py. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID = 2, UNSUPPORTED = 3, TOO_SMALL = 7, NO_DRIVER = 9, TIMED_OUT = 10,
       LOST = 15 };
enum { MAX_CARDS = 16, MAX_PROCESSES = 16, TEXT = 128 };

typedef unsigned long long u64;

typedef struct {
  unsigned pid;
  u64 used;
  char name[TEXT];
} Process;

typedef struct {
  char name[TEXT], uuid[TEXT];
  u64 total, reserved, used;
  unsigned major, minor, utilization, temperature, power, power_limit, width, max_width,
      generation, max_generation, mig, lost;
  u64 throttle;
  Process processes[MAX_PROCESSES];
  unsigned process_count;
  unsigned xids[TEXT];
  unsigned xid_count;
} Card;

typedef struct {
  char driver[TEXT];
  Card cards[MAX_CARDS];
  unsigned count;
} Machine;

typedef struct { void *device; u64 type, data; unsigned gpu, compute; } EventData;
typedef struct { unsigned version; u64 total, reserved, free, used; } MemoryV2;
typedef struct { u64 total, free, used; } MemoryV1;
typedef struct { unsigned pid; u64 used; unsigned gpu, compute; } ProcessInfo;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Machine machine;
static unsigned delivered[MAX_CARDS];

static void read_line(Card *card, const char *key, const char *value) {
  const struct { const char *key; u64 *at; } wide[] = {
      {"total", &card->total}, {"reserved", &card->reserved}, {"used", &card->used},
      {"throttle", &card->throttle}};
  const struct { const char *key; unsigned *at; } narrow[] = {
      {"utilization", &card->utilization}, {"temperature", &card->temperature},
      {"power", &card->power}, {"power_limit", &card->power_limit}, {"width", &card->width},
      {"max_width", &card->max_width}, {"generation", &card->generation},
      {"max_generation", &card->max_generation}, {"mig", &card->mig}, {"lost", &card->lost}};
  for (unsigned i = 0; i < sizeof wide / sizeof *wide; i++)
    if (!strcmp(key, wide[i].key)) *wide[i].at = strtoull(value, NULL, 0);
  for (unsigned i = 0; i < sizeof narrow / sizeof *narrow; i++)
    if (!strcmp(key, narrow[i].key)) *narrow[i].at = (unsigned)strtoul(value, NULL, 0);
  if (!strcmp(key, "name")) snprintf(card->name, TEXT, "%s", value);
  if (!strcmp(key, "uuid")) snprintf(card->uuid, TEXT, "%s", value);
  if (!strcmp(key, "compute_capability")) sscanf(value, "%u.%u", &card->major, &card->minor);
  if (!strcmp(key, "process") && card->process_count < MAX_PROCESSES) {
    Process *process = &card->processes[card->process_count++];
    sscanf(value, "%u %llu %127s", &process->pid, &process->used, process->name);
  }
  if (!strcmp(key, "xid") && card->xid_count < TEXT)
    card->xids[card->xid_count++] = (unsigned)strtoul(value, NULL, 0);
}

/* Called with the lock held. */
static int load(void) {
  const char *path = getenv("QWEN_NVML_FILE");
  FILE *file = path ? fopen(path, "r") : NULL;
  char line[512];
  if (!file) return NO_DRIVER;
  memset(&machine, 0, sizeof machine);
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    if (!strcmp(line, "[card]") && machine.count < MAX_CARDS) machine.count++;
    char *value = strchr(line, '=');
    if (!value) continue;
    *value++ = 0;
    if (machine.count) read_line(&machine.cards[machine.count - 1], line, value);
    else if (!strcmp(line, "driver")) snprintf(machine.driver, TEXT, "%s", value);
  }
  fclose(file);
  return SUCCESS;
}

#define CARD(handle)                                                        \
  Card card;                                                                \
  do {                                                                      \
    unsigned index = (unsigned)((char *)(handle) - (char *)0) - 1;          \
    pthread_mutex_lock(&lock);                                              \
    int state = load();                                                     \
    if (!state && index >= machine.count) state = INVALID;                  \
    if (!state) card = machine.cards[index];                                \
    pthread_mutex_unlock(&lock);                                            \
    if (state) return state;                                                \
    if (card.lost) return LOST;                                             \
  } while (0)

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  pthread_mutex_lock(&lock);
  int state = load();
  pthread_mutex_unlock(&lock);
  return state;
}
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) {
  return code == NO_DRIVER ? "Driver Not Loaded" : code == LOST ? "GPU is lost" : "Error";
}
int nvmlDeviceGetCount_v2(unsigned *count) {
  int state = nvmlInitWithFlags(0);
  *count = machine.count;
  return state;
}
int nvmlSystemGetDriverVersion(char *text, unsigned length) {
  snprintf(text, length, "%s", machine.driver);
  return SUCCESS;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
  *handle = (char *)0 + index + 1;
  return index < machine.count ? SUCCESS : INVALID;
}
int nvmlDeviceGetIndex(void *handle, unsigned *index) {
  *index = (unsigned)((char *)handle - (char *)0) - 1;
  return SUCCESS;
}
int nvmlDeviceGetUUID(void *handle, char *text, unsigned length) {
  CARD(handle);
  snprintf(text, length, "%s", card.uuid);
  return SUCCESS;
}
int nvmlDeviceGetName(void *handle, char *text, unsigned length) {
  CARD(handle);
  snprintf(text, length, "%s", card.name);
  return SUCCESS;
}
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
  CARD(handle);
  *major = (int)card.major;
  *minor = (int)card.minor;
  return SUCCESS;
}
int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
  CARD(handle);
  *current = *pending = card.mig;
  return SUCCESS;
}
int nvmlDeviceGetMemoryInfo_v2(void *handle, MemoryV2 *memory) {
  CARD(handle);
  memory->total = card.total;
  memory->reserved = card.reserved;
  memory->used = card.used;
  memory->free = card.total - card.reserved - card.used;
  return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(void *handle, MemoryV1 *memory) {
  CARD(handle);
  memory->total = card.total;
  memory->used = card.used + card.reserved;
  memory->free = card.total - memory->used;
  return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, ProcessInfo *infos) {
  CARD(handle);
  unsigned room = *count;
  *count = card.process_count;
  if (!card.process_count) return SUCCESS;
  if (!infos || room < card.process_count) return TOO_SMALL;
  for (unsigned i = 0; i < card.process_count; i++)
    infos[i] = (ProcessInfo){card.processes[i].pid, card.processes[i].used, ~0u, ~0u};
  return SUCCESS;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, ProcessInfo *infos) {
  (void)handle;
  (void)infos;
  *count = 0;
  return SUCCESS;
}
int nvmlSystemGetProcessName(unsigned pid, char *text, unsigned length) {
  for (unsigned i = 0; i < machine.count; i++)
    for (unsigned j = 0; j < machine.cards[i].process_count; j++)
      if (machine.cards[i].processes[j].pid == pid && machine.cards[i].processes[j].name[0]) {
        snprintf(text, length, "%s", machine.cards[i].processes[j].name);
        return SUCCESS;
      }
  return INVALID;
}

#define NUMBER(function, type, field)      \
  int function(void *handle, type *out) {  \
    CARD(handle);                          \
    if (!card.field) return UNSUPPORTED;   \
    *out = card.field;                     \
    return SUCCESS;                        \
  }
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned, generation)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, unsigned, max_generation)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, unsigned, width)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, unsigned, max_width)
NUMBER(nvmlDeviceGetPowerUsage, unsigned, power)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, power_limit)

int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, u64 *bits) {
  CARD(handle);
  *bits = card.throttle;
  return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *rates) {
  CARD(handle);
  rates[0] = card.utilization;
  rates[1] = 0;
  return SUCCESS;
}
int nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *celsius) {
  CARD(handle);
  (void)sensor;
  *celsius = card.temperature;
  return SUCCESS;
}

int nvmlEventSetCreate(void **set) {
  *set = delivered;
  return SUCCESS;
}
int nvmlDeviceRegisterEvents(void *handle, u64 types, void *set) {
  (void)handle;
  (void)types;
  (void)set;
  return SUCCESS;
}
int nvmlEventSetWait_v2(void *set, EventData *event, unsigned milliseconds) {
  (void)set;
  for (unsigned waited = 0;; waited += 10) {
    pthread_mutex_lock(&lock);
    int state = load();
    for (unsigned i = 0; !state && i < machine.count; i++)
      if (delivered[i] < machine.cards[i].xid_count) {
        *event = (EventData){(char *)0 + i + 1, 8, machine.cards[i].xids[delivered[i]++], 0, 0};
        pthread_mutex_unlock(&lock);
        return SUCCESS;
      }
    pthread_mutex_unlock(&lock);
    if (waited >= milliseconds) return TIMED_OUT;
    usleep(10000);
  }
}
int nvmlEventSetFree(void *set) {
  (void)set;
  return SUCCESS;
}
