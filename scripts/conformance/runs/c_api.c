/* ONNX Runtime's C API, nothing else. See exchange.py for the lines.

   cc c_api.c -I INCLUDE -ldl -o c_api;   ./c_api LIBONNXRUNTIME JOBS FOLDER */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_c_api.h"

#define MOST 64
#define WIDEST 65536

static const OrtApi *ort;
static OrtEnv *env;
static OrtMemoryInfo *cpu;

typedef struct {
  char name[512], model[4096];
  char *inputs[MOST];
  OrtValue *values[MOST];
  void *bytes[MOST];
  size_t count;
} Job;

static const struct {
  const char *name;
  ONNXTensorElementDataType type;
  size_t size;
} TYPES[] = {
    {"float32", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 4},
    {"float16", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, 2},
    {"float64", ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, 8},
    {"int64", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, 8},
    {"int32", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, 4},
    {"uint8", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, 1},
    {"int8", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, 1},
    {"bool", ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, 1},
};
#define TYPE_COUNT (sizeof TYPES / sizeof *TYPES)

/* Whether a call failed; if so its message is said. */
static bool failed(OrtStatus *status, const char *job) {
  if (!status) return false;
  char message[2000];
  snprintf(message, sizeof message, "%s", ort->GetErrorMessage(status));
  for (char *c = message; *c; c++)
    if (*c == '\n' || *c == '\t' || *c == '\r') *c = ' ';
  printf("@\terror\t%s\t%s\n", job, message);
  fflush(stdout);
  ort->ReleaseStatus(status);
  return true;
}

static void die(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static void read_input(Job *job, char *line) {
  size_t k = job->count;
  if (k == MOST) die("too many inputs");
  strsep(&line, "\t");
  job->inputs[k] = strdup(strsep(&line, "\t"));
  char *dtype = strsep(&line, "\t"), *dims = strsep(&line, "\t"), *file = line;
  size_t t = 0;
  while (t < TYPE_COUNT && strcmp(TYPES[t].name, dtype)) t++;
  if (t == TYPE_COUNT) die("unknown type");
  int64_t shape[16];
  size_t rank = 0, size = TYPES[t].size;
  for (char *dim; (dim = strsep(&dims, ",")) && *dim && rank < 16;)
    size *= (size_t)(shape[rank++] = atoll(dim));
  FILE *f = fopen(file, "rb");
  job->bytes[k] = malloc(size ? size : 1);
  if (!f || fread(job->bytes[k], 1, size, f) != size) die("cannot read an input");
  fclose(f);
  if (failed(ort->CreateTensorWithDataAsOrtValue(cpu, job->bytes[k], size, shape, rank,
                                                 TYPES[t].type, &job->values[k]), job->name))
    die("no tensor");
  job->count++;
}

/* Writes one output and says so. */
static bool written(const Job *job, const char *name, OrtValue *value, const char *file) {
  OrtTensorTypeAndShapeInfo *info;
  ONNXTensorElementDataType type;
  int64_t shape[16];
  size_t rank, count, t = 0;
  void *data;
  if (failed(ort->GetTensorTypeAndShape(value, &info), job->name) ||
      failed(ort->GetTensorElementType(info, &type), job->name) ||
      failed(ort->GetDimensionsCount(info, &rank), job->name) ||
      failed(ort->GetDimensions(info, shape, rank), job->name) ||
      failed(ort->GetTensorShapeElementCount(info, &count), job->name) ||
      failed(ort->GetTensorMutableData(value, &data), job->name))
    return false;
  ort->ReleaseTensorTypeAndShapeInfo(info);
  while (t < TYPE_COUNT && TYPES[t].type != type) t++;
  if (t == TYPE_COUNT) die("an output has an unknown type");
  FILE *f = fopen(file, "wb");
  if (!f || fwrite(data, TYPES[t].size, count, f) != count) die("cannot write an output");
  fclose(f);
  printf("@\toutput\t%s\t%s\t%s\t", job->name, name, TYPES[t].name);
  for (size_t d = 0; d < rank; d++) printf(d ? ",%lld" : "%lld", (long long)shape[d]);
  printf("\t%s\n", file);
  return true;
}

static void run(Job *job, const char *folder, int number) {
  OrtSessionOptions *options;
  OrtSession *session;
  OrtAllocator *allocator;
  char *names[MOST];
  OrtValue *values[MOST] = {0};
  size_t count;
  if (failed(ort->CreateSessionOptions(&options), job->name)) return;
  OrtStatus *status = ort->CreateSession(env, job->model, options, &session);
  ort->ReleaseSessionOptions(options);
  if (failed(status, job->name)) return;
  if (failed(ort->GetAllocatorWithDefaultOptions(&allocator), job->name) ||
      failed(ort->SessionGetOutputCount(session, &count), job->name))
    return;
  if (count > MOST) die("too many outputs");
  for (size_t k = 0; k < count; k++)
    if (failed(ort->SessionGetOutputName(session, k, allocator, &names[k]), job->name)) return;
  bool good = !failed(ort->Run(session, NULL, (const char *const *)job->inputs,
                               (const OrtValue *const *)job->values, job->count,
                               (const char *const *)names, count, values), job->name);
  for (size_t k = 0; k < count && good; k++) {
    char file[4096];
    snprintf(file, sizeof file, "%s/%d.%zu.bin", folder, number, k);
    good = written(job, names[k], values[k], file);
    ort->ReleaseValue(values[k]);
  }
  if (good) printf("@\tdone\t%s\n", job->name);
  fflush(stdout);
  ort->ReleaseSession(session);
}

int main(int argc, char **argv) {
  if (argc != 4) die("usage: c_api LIBONNXRUNTIME JOBS FOLDER");
  void *library = dlopen(argv[1], RTLD_NOW);
  if (!library) die(dlerror());
  const OrtApiBase *(*base)(void) = (const OrtApiBase *(*)(void))dlsym(library, "OrtGetApiBase");
  if (!base || !(ort = base()->GetApi(ORT_API_VERSION))) die("the library is older than the header");
  printf("@\tversion\tlibonnxruntime %s\n", base()->GetVersionString());
  if (failed(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "conformance", &env), "") ||
      failed(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &cpu), ""))
    return 1;
  FILE *jobs = fopen(argv[2], "r");
  if (!jobs) die("cannot read the jobs");
  static char line[WIDEST];
  Job job = {0};
  for (int number = 0; fgets(line, sizeof line, jobs);) {
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "job\t", 4)) {
      char *rest = line + 4, *name = strsep(&rest, "\t");
      memset(&job, 0, sizeof job);
      snprintf(job.name, sizeof job.name, "%s", name);
      snprintf(job.model, sizeof job.model, "%s", rest);
    } else if (!strncmp(line, "input\t", 6)) {
      read_input(&job, line);
    } else if (*job.name) {
      printf("@\tstart\t%s\n", job.name);
      fflush(stdout);
      run(&job, argv[3], number++);
      for (size_t k = 0; k < job.count; k++) {
        ort->ReleaseValue(job.values[k]);
        free(job.bytes[k]);
        free(job.inputs[k]);
      }
      memset(&job, 0, sizeof job);
    }
  }
  fclose(jobs);
  ort->ReleaseMemoryInfo(cpu);
  ort->ReleaseEnv(env);
  return 0;
}
