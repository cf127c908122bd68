// A library that stands for NVML, for tests. What it says is in the file that the
// environment variable FAKE_NVML names, read at each call, in lines:
//
//   init RESULT                             what nvmlInit_v2 returns
//   hang                                    calls wait until this line is gone
//   gpu RESULT UUID TOTAL FREE NAME         RESULT is of each call about this GPU
//   process UUID PID BYTES                  BYTES may be -1: not known
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gpu { int result; char uuid[96], name[96]; unsigned long long total, free; };
struct process { char uuid[96]; unsigned pid; long long bytes; };
static struct { int init, hang, gpus, processes; struct gpu gpu[8]; struct process process[300]; } said;
static int up;

static void listen_once(void) {
	char line[400];
	memset(&said, 0, sizeof said);
	FILE *f = fopen(getenv("FAKE_NVML"), "r");
	if (!f) { said.init = 9; return; }
	while (fgets(line, sizeof line, f)) {
		struct gpu *g = &said.gpu[said.gpus];
		struct process *p = &said.process[said.processes];
		sscanf(line, "init %d", &said.init);
		if (!strncmp(line, "hang", 4)) said.hang = 1;
		if (sscanf(line, "gpu %d %95s %llu %llu %95[^\n]", &g->result, g->uuid, &g->total, &g->free, g->name) == 5) said.gpus++;
		if (sscanf(line, "process %95s %u %lld", p->uuid, &p->pid, &p->bytes) == 3) said.processes++;
	}
	fclose(f);
}

static void listen_well(void) {
	for (listen_once(); said.hang; listen_once()) usleep(5000);
}

int nvmlInit_v2(void) { listen_well(); up = said.init == 0; return said.init; }
int nvmlShutdown(void) { up = 0; return 0; }
const char *nvmlErrorString(int result) {
	return result == 15 ? "GPU is lost" : result == 9 ? "Driver Not Loaded" : "Unknown Error";
}
int nvmlDeviceGetCount_v2(unsigned *count) {
	listen_well();
	*count = said.gpus;
	return !up ? 1 : said.init;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) { *device = (void *)(uintptr_t)(i + 1); return said.gpu[i].result; }

static struct gpu *of(void *device) { return &said.gpu[(uintptr_t)device - 1]; }

int nvmlDeviceGetUUID(void *device, char *text, unsigned size) { snprintf(text, size, "%s", of(device)->uuid); return 0; }
int nvmlDeviceGetName(void *device, char *text, unsigned size) { snprintf(text, size, "%s", of(device)->name); return 0; }

struct memory { unsigned long long total, free, used; };
int nvmlDeviceGetMemoryInfo(void *device, struct memory *m) {
	struct gpu *g = of(device);
	m->total = g->total;
	m->free = g->free;
	m->used = g->total - g->free;
	return g->total ? 0 : 3;
}

struct info { unsigned pid; unsigned long long bytes; unsigned gi, ci; };
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct info *infos) {
	unsigned room = *count, n = 0;
	for (int i = 0; i < said.processes; i++) {
		if (strcmp(said.process[i].uuid, of(device)->uuid)) continue;
		if (n < room) infos[n] = (struct info){said.process[i].pid, said.process[i].bytes, -1, -1};
		n++;
	}
	*count = n;
	return n > room ? 7 : 0;
}
