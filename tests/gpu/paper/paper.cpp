// A GPU on paper: the CUDA runtime, cuBLAS and cuDNN as far as PyTorch calls them, on a machine without a GPU.
// Device memory is host memory (zeroed), copies are real, kernels do nothing; streams, captures and graphs are kept as books.
// What a capture forbids is refused here as on a device. For tests of control flow; numbers mean nothing.
#include <cuda_runtime_api.h>
#include <cuda.h>
#include <cublas_v2.h>
#include <cublasLt.h>
#include <cudnn.h>
#include <sys/mman.h>
#include <unistd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <map>
#include <set>
#include <vector>
#include <string>
#include <mutex>
#include <atomic>
#include <thread>
#include <sstream>
#include <chrono>
#include <unordered_map>

#define API extern "C" __attribute__((visibility("default")))

namespace {
std::recursive_mutex mu;
using Lock = std::lock_guard<std::recursive_mutex>;

struct Graph { std::vector<std::string> nodes; int serial; std::set<void*> spaces; };
struct Exec { std::vector<std::string> nodes; int serial; bool alive = true; long launches = 0; std::set<void*> spaces; };
struct Stream {
  bool blocking = true; int device = 0; bool capturing = false; bool invalid = false; unsigned long long id = 0;
  Graph* graph = nullptr; cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal; std::thread::id owner; Exec* last = nullptr;
  int number = 0;
  std::chrono::steady_clock::time_point busy;
};
using Clock = std::chrono::steady_clock;
std::atomic<double> nanoseconds{0.0};            // that a kernel of a graph takes
double per_node() { return nanoseconds; }
thread_local double waited = 0;                  // seconds that this thread has waited for kernels
void wait_until(Clock::time_point t) { auto now = Clock::now(); if (t > now) { waited += std::chrono::duration<double>(t - now).count(); std::this_thread::sleep_until(t); } }
struct Event { bool captured = false; std::chrono::steady_clock::time_point done; };
std::set<Stream*> streams;
Stream* legacy() { static Stream* s = [] { auto* s = new Stream; streams.insert(s); return s; }(); return s; }
Stream* of(cudaStream_t s) { return (s == nullptr || s == (cudaStream_t)1 || s == (cudaStream_t)2) ? legacy() : (Stream*)s; }

std::map<const void*, std::string> names;       // of kernels by host function
std::map<char*, size_t> device_memory, host_memory;
size_t used = 0;
std::atomic<size_t> memory_limit{80ull << 30};
size_t limit() { return memory_limit; }
bool broken = false;                             // a sticky fault: every call fails from now on
int gpus() { static int v = [] { auto* e = getenv("PAPER_GPUS"); return e ? atoi(e) : 1; }(); return v; }
bool loud() { static bool v = getenv("PAPER_LOUD") != nullptr; return v; }
thread_local int current = 0;
thread_local cudaError_t last_error = cudaSuccess;
thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;
std::atomic<unsigned long long> next_id{1};
int next_graph = 0, next_stream = 0;
std::vector<Graph*> captured;                    // all that ended well
std::map<std::string, long> calls;               // of the runtime, by name
std::map<std::string, long> kernels;             // launched eagerly, by name
std::vector<std::string> trouble;
std::set<int> touched;                           // devices with a context

cudaError_t fail(cudaError_t e) { last_error = e; return e; }
#define STICKY if (broken) return fail(cudaErrorIllegalAddress)
void note(const std::string& what) {
  std::ostringstream s; s << what << " [thread " << std::this_thread::get_id() << "]";
  trouble.push_back(s.str());
  if (loud()) fprintf(stderr, "[paper] %s\n", s.str().c_str());
}
// Whether a call that is unsafe during a capture is refused here.
bool refused(const char* what) {
  if (thread_mode == cudaStreamCaptureModeRelaxed) return false;
  for (auto* s : streams) {
    if (!s->capturing || s->mode == cudaStreamCaptureModeRelaxed) continue;
    bool mine = s->owner == std::this_thread::get_id();
    bool bad = mine || (s->mode == cudaStreamCaptureModeGlobal && thread_mode == cudaStreamCaptureModeGlobal);
    if (bad) { s->invalid = true; note(std::string(what) + " during a capture"); return true; }
  }
  return false;
}
// A wait for the whole device while a stream of it is captured.
bool device_wait(const char* what) {
  for (auto* s : streams)
    if (s->capturing && s->device == current) {
      bool mine = s->owner == std::this_thread::get_id();
      note(std::string(what) + (mine ? " by the capturing thread" : " by ANOTHER thread during a capture"));
      s->invalid = true;
      return true;
    }
  return false;
}
void node(Stream* s, const std::string& name) {
  if (s->capturing) s->graph->nodes.push_back(name); else kernels[name]++;
}
cudaError_t launch(const void* f, cudaStream_t stream) {
  Lock l(mu); STICKY;
  auto it = names.find(f);
  node(of(stream), it == names.end() ? "?" : it->second);
  touched.insert(current);
  return cudaSuccess;
}
void* take(size_t n) {
  void* p = mmap(nullptr, n ? n : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}
bool inside(const std::map<char*, size_t>& m, const void* p) {
  auto it = m.upper_bound((char*)p);
  if (it == m.begin()) return false;
  --it;
  return (char*)p < it->first + it->second;
}
}  // namespace

#define CALLED(x) { Lock l(mu); calls[x]++; }

// ---------------------------------------------------------------- kernels
static int dummy_handle;
API void** __cudaRegisterFatBinary(void*) { return (void**)&dummy_handle; }
API void __cudaRegisterFatBinaryEnd(void**) {}
API void __cudaUnregisterFatBinary(void**) {}
API void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*, int*) { Lock l(mu); names[host] = name; }
API void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int) {}
API char __cudaInitModule(void**) { return 0; }
struct Config { dim3 g, b; size_t s; cudaStream_t st; };
static thread_local std::vector<Config> configs;
API unsigned __cudaPushCallConfiguration(dim3 g, dim3 b, size_t s, struct CUstream_st* st) { configs.push_back({g, b, s, (cudaStream_t)st}); return 0; }
API cudaError_t __cudaPopCallConfiguration(dim3* g, dim3* b, size_t* s, void* st) { auto c = configs.back(); configs.pop_back(); *g = c.g; *b = c.b; *s = c.s; *(cudaStream_t*)st = c.st; return cudaSuccess; }
API cudaError_t __cudaGetKernel(cudaKernel_t* k, const void* f) { *k = (cudaKernel_t)f; return cudaSuccess; }
API cudaError_t __cudaLaunchKernel(cudaKernel_t k, dim3, dim3, void**, size_t, cudaStream_t st) { return launch((const void*)k, st); }
API cudaError_t cudaLaunchKernel(const void* f, dim3, dim3, void**, size_t, cudaStream_t st) { return launch(f, st); }
API cudaError_t cudaLaunchCooperativeKernel(const void* f, dim3, dim3, void**, size_t, cudaStream_t st) { return launch(f, st); }
API cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* c, const void* f, void**) { return launch(f, c->stream); }
// a kernel that Triton starts through the driver, by its name
API int paper_launch(const char* name, void* stream) { Lock l(mu); STICKY; node(of((cudaStream_t)stream), name); touched.insert(current); return 0; }
API int paper_on_device(unsigned long long p) { Lock l(mu); return inside(device_memory, (void*)p); }
API cudaError_t cudaLaunchHostFunc(cudaStream_t st, cudaHostFn_t f, void* d) { Lock l(mu); if (of(st)->capturing) node(of(st), "hostfunc"); else f(d); return cudaSuccess; }
API cudaError_t cudaStreamAddCallback(cudaStream_t st, cudaStreamCallback_t f, void* d, unsigned) { f(st, cudaSuccess, d); return cudaSuccess; }
API cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* a, const void*) { memset(a, 0, sizeof *a); a->maxThreadsPerBlock = 1024; a->numRegs = 32; a->binaryVersion = 90; a->ptxVersion = 90; a->maxDynamicSharedSizeBytes = 49152; return cudaSuccess; }
API cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
API cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t, cudaFuncAttribute, int, int) { return cudaSuccess; }
API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* n, const void*, int, size_t) { *n = 8; return cudaSuccess; }
API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* n, const void*, int, size_t, unsigned) { *n = 8; return cudaSuccess; }
API cudaError_t cudaGetSymbolAddress(void** p, const void* s) { *p = (void*)s; return cudaSuccess; }
API cudaError_t cudaMemcpyToSymbol(const void*, const void*, size_t, size_t, cudaMemcpyKind) { return cudaSuccess; }

// ---------------------------------------------------------------- devices
API cudaError_t cudaGetDeviceCount(int* n) { *n = gpus(); return cudaSuccess; }
API cudaError_t cudaGetDevice(int* d) { *d = current; return cudaSuccess; }
API cudaError_t cudaSetDevice(int d) { if (d < 0 || d >= gpus()) return fail(cudaErrorInvalidDevice); current = d; Lock l(mu); touched.insert(d); return cudaSuccess; }
API cudaError_t cudaDriverGetVersion(int* v) { *v = 13000; return cudaSuccess; }
API cudaError_t cudaRuntimeGetVersion(int* v) { *v = 13000; return cudaSuccess; }
API cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int d) {
  memset(p, 0, sizeof *p);
  snprintf(p->name, sizeof p->name, "NVIDIA H100 80GB HBM3");
  p->totalGlobalMem = limit(); p->sharedMemPerBlock = 49152; p->regsPerBlock = 65536; p->warpSize = 32; p->maxThreadsPerBlock = 1024;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024; p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647; p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->totalConstMem = 65536; p->major = 9; p->minor = 0; p->textureAlignment = 512; p->multiProcessorCount = 132; p->concurrentKernels = 1;
  p->l2CacheSize = 52428800; p->maxThreadsPerMultiProcessor = 2048; p->streamPrioritiesSupported = 1; p->globalL1CacheSupported = p->localL1CacheSupported = 1;
  p->sharedMemPerMultiprocessor = 233472; p->regsPerMultiprocessor = 65536; p->managedMemory = 1; p->unifiedAddressing = 1; p->cooperativeLaunch = 1;
  p->sharedMemPerBlockOptin = 232448; p->maxBlocksPerMultiProcessor = 32; p->memoryBusWidth = 5120; p->asyncEngineCount = 3; p->canMapHostMemory = 1;
  p->pciBusID = d + 1;
  return cudaSuccess;
}
API cudaError_t cudaDeviceGetAttribute(int* v, cudaDeviceAttr a, int) {
  switch (a) {
    case cudaDevAttrComputeCapabilityMajor: *v = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *v = 0; break;
    case cudaDevAttrMultiProcessorCount: *v = 132; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *v = 232448; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *v = 49152; break;
    case cudaDevAttrMaxThreadsPerBlock: *v = 1024; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *v = 2048; break;
    case cudaDevAttrMaxGridDimX: *v = 2147483647; break;
    case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *v = 65535; break;
    case cudaDevAttrWarpSize: *v = 32; break;
    default: *v = 0;
  }
  return cudaSuccess;
}
API cudaError_t cudaDeviceCanAccessPeer(int* v, int, int) { *v = 1; return cudaSuccess; }
API cudaError_t cudaDeviceEnablePeerAccess(int, unsigned) { return cudaSuccess; }
API cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* p, int) { *p = (cudaMemPool_t)&dummy_handle; return cudaSuccess; }
API cudaError_t cudaDeviceGetGraphMemAttribute(int, cudaGraphMemAttributeType, void*) { return cudaSuccess; }
API cudaError_t cudaDeviceSetGraphMemAttribute(int, cudaGraphMemAttributeType, void*) { return cudaSuccess; }
API cudaError_t cudaDeviceGetPCIBusId(char* s, int n, int d) { snprintf(s, n, "0000:%02x:00.0", d + 1); return cudaSuccess; }
API cudaError_t cudaDeviceGetStreamPriorityRange(int* low, int* high) { *low = 0; *high = -5; return cudaSuccess; }
API cudaError_t cudaDeviceSynchronize() { CALLED("cudaDeviceSynchronize"); if (per_node() > 0) { Clock::time_point until; { Lock l(mu); for (auto* s : streams) until = std::max(until, s->busy); } wait_until(until); } Lock l(mu); STICKY; if (device_wait("cudaDeviceSynchronize")) return fail(cudaErrorStreamCaptureUnsupported); return cudaSuccess; }
API cudaError_t cudaProfilerStart() { return cudaSuccess; }
API cudaError_t cudaProfilerStop() { return cudaSuccess; }
API cudaError_t cudaGetLastError() { auto e = last_error; last_error = cudaSuccess; return e; }
API cudaError_t cudaPeekAtLastError() { return last_error; }
API const char* cudaGetErrorName(cudaError_t e) { return e == cudaErrorStreamCaptureUnsupported ? "cudaErrorStreamCaptureUnsupported" : e == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : e == cudaErrorStreamCaptureInvalidated ? "cudaErrorStreamCaptureInvalidated" : e ? "cudaErrorOnPaper" : "cudaSuccess"; }
API const char* cudaGetErrorString(cudaError_t e) { return e == cudaErrorStreamCaptureUnsupported ? "operation not permitted when stream is capturing" : e == cudaErrorMemoryAllocation ? "out of memory" : e == cudaErrorIllegalAddress ? "an illegal memory access was encountered" : e == cudaErrorStreamCaptureInvalidated ? "operation failed due to a previous error during capture" : e ? "an error on paper" : "no error"; }

// ---------------------------------------------------------------- memory
API cudaError_t cudaMalloc(void** p, size_t n) {
  Lock l(mu); STICKY; calls["cudaMalloc"]++;
  if (refused("cudaMalloc")) return fail(cudaErrorStreamCaptureUnsupported);
  if (used + n > limit()) return fail(cudaErrorMemoryAllocation);
  *p = take(n);
  if (!*p) return fail(cudaErrorMemoryAllocation);
  device_memory[(char*)*p] = n; used += n; touched.insert(current);
  return cudaSuccess;
}
API cudaError_t cudaFree(void* p) {
  Lock l(mu); calls["cudaFree"]++;
  if (!p) return cudaSuccess;
  if (refused("cudaFree")) return fail(cudaErrorStreamCaptureUnsupported);
  if (per_node() > 0) for (auto* s : streams) wait_until(s->busy);
  auto it = device_memory.find((char*)p);
  if (it == device_memory.end()) return fail(cudaErrorInvalidValue);
  used -= it->second; munmap(p, it->second ? it->second : 1); device_memory.erase(it);
  return cudaSuccess;
}
API cudaError_t cudaMallocAsync(void** p, size_t n, cudaStream_t) { return cudaMalloc(p, n); }
API cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return cudaFree(p); }
API cudaError_t cudaHostAlloc(void** p, size_t n, unsigned) { Lock l(mu); calls["cudaHostAlloc"]++; if (refused("cudaHostAlloc")) return fail(cudaErrorStreamCaptureUnsupported); *p = take(n); host_memory[(char*)*p] = n; return cudaSuccess; }
API cudaError_t cudaFreeHost(void* p) { Lock l(mu); calls["cudaFreeHost"]++; if (refused("cudaFreeHost")) return fail(cudaErrorStreamCaptureUnsupported); auto it = host_memory.find((char*)p); if (it != host_memory.end()) { munmap(p, it->second); host_memory.erase(it); } return cudaSuccess; }
API cudaError_t cudaHostRegister(void*, size_t, unsigned) { return cudaSuccess; }
API cudaError_t cudaHostUnregister(void*) { return cudaSuccess; }
API cudaError_t cudaMemGetInfo(size_t* f, size_t* t) { Lock l(mu); *t = limit(); *f = limit() - used; return cudaSuccess; }
API cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
API cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
API cudaError_t cudaMemPoolSetAccess(cudaMemPool_t, const cudaMemAccessDesc*, size_t) { return cudaSuccess; }
API cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }
API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) {
  Lock l(mu); memset(a, 0, sizeof *a);
  a->type = inside(device_memory, p) ? cudaMemoryTypeDevice : inside(host_memory, p) ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
  a->devicePointer = a->hostPointer = (void*)p;
  return cudaSuccess;
}
static const char* pageable(const void* d, const void* s) {
  bool pd = !inside(device_memory, d) && !inside(host_memory, d), ps = !inside(device_memory, s) && !inside(host_memory, s);
  return pd ? "memcpy to pageable" : ps ? "memcpy from pageable" : (!inside(device_memory, s) ? "memcpy from pinned" : !inside(device_memory, d) ? "memcpy to pinned" : "memcpy on device");
}
API cudaError_t cudaMemcpyAsync(void* d, const void* s, size_t n, cudaMemcpyKind, cudaStream_t st) {
  Lock l(mu); STICKY; auto* stream = of(st); std::string what = pageable(d, s); calls[what]++;
  if (stream->capturing) { node(stream, what); if (what.find("pageable") != std::string::npos) note(what + " captured"); return cudaSuccess; }
  kernels[what]++;
  static bool zeros = getenv("PAPER_ZERO"); if ((n <= 8 || zeros) && inside(device_memory, s) && !inside(device_memory, d)) { memset(d, 0, n); calls["scalar read back"]++; return cudaSuccess; }
  memmove(d, s, n);
  return cudaSuccess;
}
API cudaError_t cudaMemcpy(void* d, const void* s, size_t n, cudaMemcpyKind) { Lock l(mu); calls["cudaMemcpy"]++; if (refused("cudaMemcpy")) return fail(cudaErrorStreamCaptureUnsupported); memmove(d, s, n); return cudaSuccess; }
API cudaError_t cudaMemcpy2DAsync(void* d, size_t dp, const void* s, size_t sp, size_t w, size_t h, cudaMemcpyKind, cudaStream_t st) { Lock l(mu); auto* stream = of(st); if (stream->capturing) { node(stream, "memcpy2d"); return cudaSuccess; } for (size_t i = 0; i < h; i++) memmove((char*)d + i * dp, (const char*)s + i * sp, w); return cudaSuccess; }
API cudaError_t cudaMemcpyPeerAsync(void* d, int, const void* s, int, size_t n, cudaStream_t st) { return cudaMemcpyAsync(d, s, n, cudaMemcpyDefault, st); }
API cudaError_t cudaMemset(void* d, int v, size_t n) { memset(d, v, n); return cudaSuccess; }
API cudaError_t cudaMemsetAsync(void* d, int v, size_t n, cudaStream_t st) { Lock l(mu); auto* s = of(st); node(s, "memset"); if (!s->capturing) memset(d, v, n); return cudaSuccess; }
API cudaError_t cudaIpcCloseMemHandle(void*) { return cudaErrorNotSupported; }
API cudaError_t cudaIpcGetEventHandle(cudaIpcEventHandle_t*, cudaEvent_t) { return cudaErrorNotSupported; }
API cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t*, void*) { return cudaErrorNotSupported; }
API cudaError_t cudaIpcOpenEventHandle(cudaEvent_t*, cudaIpcEventHandle_t) { return cudaErrorNotSupported; }
API cudaError_t cudaIpcOpenMemHandle(void**, cudaIpcMemHandle_t, unsigned) { return cudaErrorNotSupported; }

// ---------------------------------------------------------------- streams, events
API cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned flags, int) { Lock l(mu); auto* x = new Stream; x->blocking = flags == cudaStreamDefault; x->device = current; x->number = ++next_stream; streams.insert(x); *s = (cudaStream_t)x; calls[x->blocking ? "stream, blocking" : "stream, non-blocking"]++; return cudaSuccess; }
API cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned flags) { return cudaStreamCreateWithPriority(s, flags, 0); }
API cudaError_t cudaStreamCreate(cudaStream_t* s) { return cudaStreamCreateWithPriority(s, 0, 0); }
API cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
API cudaError_t cudaStreamGetPriority(cudaStream_t, int* p) { *p = 0; return cudaSuccess; }
API cudaError_t cudaStreamSynchronize(cudaStream_t st) {
  auto* s = of(st);
  if (per_node() > 0) { Clock::time_point until; { Lock l(mu); until = s->busy; } wait_until(until); }
  Lock l(mu); STICKY; calls["cudaStreamSynchronize"]++;
  if (s->capturing) { s->invalid = true; note("cudaStreamSynchronize of a stream that is captured"); return fail(cudaErrorStreamCaptureUnsupported); }
  return cudaSuccess;
}
API cudaError_t cudaStreamQuery(cudaStream_t st) { Lock l(mu); auto* s = of(st); if (s->capturing) { s->invalid = true; note("cudaStreamQuery of a stream that is captured"); return fail(cudaErrorStreamCaptureUnsupported); } return cudaSuccess; }
API cudaError_t cudaStreamWaitEvent(cudaStream_t st, cudaEvent_t e, unsigned) { Lock l(mu); calls["cudaStreamWaitEvent"]++; of(st)->busy = std::max(of(st)->busy, ((Event*)e)->done); return cudaSuccess; }
API cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { *e = (cudaEvent_t)new Event; return cudaSuccess; }
API cudaError_t cudaEventCreate(cudaEvent_t* e) { return cudaEventCreateWithFlags(e, 0); }
API cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
API cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t st) { Lock l(mu); calls["cudaEventRecord"]++; ((Event*)e)->captured = of(st)->capturing; ((Event*)e)->done = of(st)->busy; return cudaSuccess; }
API cudaError_t cudaEventRecordWithFlags(cudaEvent_t e, cudaStream_t st, unsigned) { return cudaEventRecord(e, st); }
API cudaError_t cudaEventQuery(cudaEvent_t e) { Lock l(mu); calls["cudaEventQuery"]++; if (refused("cudaEventQuery")) return fail(cudaErrorStreamCaptureUnsupported); if (((Event*)e)->captured) { note("cudaEventQuery of a captured event"); return fail(cudaErrorCapturedEvent); } if (((Event*)e)->done > Clock::now()) return cudaErrorNotReady; return cudaSuccess; }
API cudaError_t cudaEventSynchronize(cudaEvent_t e) { if (per_node() > 0) wait_until(((Event*)e)->done); Lock l(mu); STICKY; calls["cudaEventSynchronize"]++; if (((Event*)e)->captured) { note("cudaEventSynchronize of a captured event"); return fail(cudaErrorCapturedEvent); } return cudaSuccess; }
API cudaError_t cudaEventElapsedTime(float* t, cudaEvent_t, cudaEvent_t) { *t = 1; return cudaSuccess; }

// ---------------------------------------------------------------- captures, graphs
API cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* m) { std::swap(*m, thread_mode); return cudaSuccess; }
API cudaError_t cudaStreamBeginCapture(cudaStream_t st, cudaStreamCaptureMode mode) {
  Lock l(mu); calls["cudaStreamBeginCapture"]++;
  auto* s = of(st);
  if (s == legacy()) return fail(cudaErrorStreamCaptureUnsupported);
  if (s->capturing) { note("BeginCapture on a stream that is captured"); return fail(cudaErrorIllegalState); }
  for (auto* other : streams) if (other->capturing) note("a second capture begins while one is under way");
  s->capturing = true; s->invalid = false; s->mode = mode; s->owner = std::this_thread::get_id(); s->id = next_id++; s->graph = new Graph; s->graph->serial = next_graph++;
  return cudaSuccess;
}
API cudaError_t cudaStreamBeginCaptureToGraph(cudaStream_t, cudaGraph_t, const cudaGraphNode_t*, const cudaGraphEdgeData*, size_t, cudaStreamCaptureMode) { return cudaErrorNotSupported; }
API cudaError_t cudaStreamEndCapture(cudaStream_t st, cudaGraph_t* g) {
  Lock l(mu); auto* s = of(st);
  if (!s->capturing) return fail(cudaErrorIllegalState);
  s->capturing = false;
  if (s->owner != std::this_thread::get_id() && s->mode != cudaStreamCaptureModeRelaxed) { note("EndCapture in another thread"); return fail(cudaErrorStreamCaptureWrongThread); }
  if (s->invalid) { *g = nullptr; return fail(cudaErrorStreamCaptureInvalidated); }
  *g = (cudaGraph_t)s->graph; captured.push_back(s->graph);
  return cudaSuccess;
}
API cudaError_t cudaStreamIsCapturing(cudaStream_t st, cudaStreamCaptureStatus* status) { Lock l(mu); auto* s = of(st); *status = !s->capturing ? cudaStreamCaptureStatusNone : s->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive; return cudaSuccess; }
API cudaError_t cudaStreamGetCaptureInfo(cudaStream_t st, cudaStreamCaptureStatus* status, unsigned long long* id, cudaGraph_t* g, const cudaGraphNode_t** deps, const cudaGraphEdgeData** edges, size_t* n) {
  Lock l(mu); auto* s = of(st);
  cudaStreamIsCapturing(st, status);
  if (id) *id = s->id;
  if (g) *g = (cudaGraph_t)s->graph;
  if (deps) *deps = nullptr;
  if (edges) *edges = nullptr;
  if (n) *n = 0;
  return cudaSuccess;
}
API cudaError_t cudaStreamUpdateCaptureDependencies(cudaStream_t, cudaGraphNode_t*, const cudaGraphEdgeData*, size_t, unsigned) { return cudaSuccess; }
API cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t*, size_t* n) { *n = ((Graph*)g)->nodes.size(); return cudaSuccess; }
API cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t, cudaGraphNode_t*, cudaGraphEdgeData*, size_t* n) { *n = 0; return cudaSuccess; }
API cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) { Lock l(mu); auto* x = new Exec; x->nodes = ((Graph*)g)->nodes; x->serial = ((Graph*)g)->serial; x->spaces = ((Graph*)g)->spaces; *e = (cudaGraphExec_t)x; return cudaSuccess; }
API cudaError_t cudaGraphDestroy(cudaGraph_t) { return cudaSuccess; }
API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) { Lock l(mu); ((Exec*)e)->alive = false; calls["cudaGraphExecDestroy"]++; for (auto* s : streams) if (s->capturing) note("cudaGraphExecDestroy while a capture is under way"); return cudaSuccess; }
API cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t st) {
  Lock l(mu); STICKY; calls["cudaGraphLaunch"]++;
  auto* x = (Exec*)e; auto* s = of(st);
  if (!x->alive) { note("launch of a graph that is gone"); return fail(cudaErrorInvalidResourceHandle); }
  if (s->capturing) note(s->owner == std::this_thread::get_id() ? "a graph is launched into its own capture" : "a graph of ANOTHER thread is launched into a stream that is captured");
  for (auto* w : x->spaces) if (!inside(device_memory, w)) { note("a graph is launched whose cuBLAS workspace has been given back to the device"); break; }
  x->launches++; s->last = x;
  if (per_node() > 0) { auto now = Clock::now(); s->busy = std::max(now, s->busy) + std::chrono::nanoseconds((long)(per_node() * x->nodes.size())); }
  return cudaSuccess;
}
API cudaError_t cudaGraphAddNode(cudaGraphNode_t*, cudaGraph_t, const cudaGraphNode_t*, const cudaGraphEdgeData*, size_t, cudaGraphNodeParams*) { return cudaErrorNotSupported; }
API cudaError_t cudaGraphConditionalHandleCreate(cudaGraphConditionalHandle*, cudaGraph_t, unsigned, unsigned) { return cudaErrorNotSupported; }
API cudaError_t cudaGraphRetainUserObject(cudaGraph_t, cudaUserObject_t, unsigned, unsigned) { return cudaSuccess; }
API cudaError_t cudaUserObjectCreate(cudaUserObject_t* o, void*, cudaHostFn_t, unsigned, unsigned) { *o = (cudaUserObject_t)&dummy_handle; return cudaSuccess; }
API cudaError_t cudaUserObjectRelease(cudaUserObject_t, unsigned) { return cudaSuccess; }
API cudaError_t cudaLibraryLoadData(cudaLibrary_t*, const void*, cudaJitOption*, void**, unsigned, cudaLibraryOption*, void**, unsigned) { return cudaErrorNotSupported; }
API cudaError_t cudaLibraryGetKernel(cudaKernel_t*, cudaLibrary_t, const char*) { return cudaErrorNotSupported; }
API cudaError_t cudaLibraryUnload(cudaLibrary_t) { return cudaSuccess; }

// ---------------------------------------------------------------- the driver
static CUresult no_driver() { return CUDA_ERROR_NOT_SUPPORTED; }
API CUresult paper_cuCtxGetCurrent(CUcontext* c) { *c = (CUcontext)&dummy_handle; return CUDA_SUCCESS; }
API CUresult paper_cuPrimary(CUdevice d, unsigned* f, int* active) { Lock l(mu); if (f) *f = 0; *active = touched.count(d); return CUDA_SUCCESS; }
API CUresult paper_ok() { return CUDA_SUCCESS; }
API cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** f, unsigned, unsigned long long, cudaDriverEntryPointQueryResult* r) {
  std::string n = name;
  *f = n == "cuCtxGetCurrent" ? (void*)paper_cuCtxGetCurrent : n == "cuDevicePrimaryCtxGetState" ? (void*)paper_cuPrimary
     : n == "cuCtxSetCurrent" || n == "cuInit" ? (void*)paper_ok : (void*)no_driver;
  if (r) *r = cudaDriverEntryPointSuccess;
  return cudaSuccess;
}

// ---------------------------------------------------------------- cuBLAS
struct Blas { cudaStream_t stream = nullptr; void* workspace = nullptr; size_t size = 0; };
static cublasStatus_t blas(cublasHandle_t h, const char* what) {
  Lock l(mu); auto* b = (Blas*)h;
  if (b->workspace && !inside(device_memory, b->workspace)) note(std::string(what) + ": the workspace is no memory of the device");
  if (of(b->stream)->capturing && b->workspace) of(b->stream)->graph->spaces.insert(b->workspace);
  node(of(b->stream), what); return CUBLAS_STATUS_SUCCESS;
}
API cublasStatus_t cublasCreate_v2(cublasHandle_t* h) { *h = (cublasHandle_t)new Blas; CALLED("cublasCreate"); return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasDestroy_v2(cublasHandle_t) { return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasSetStream_v2(cublasHandle_t h, cudaStream_t s) { ((Blas*)h)->stream = s; return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t h, void* p, size_t n) { ((Blas*)h)->workspace = p; ((Blas*)h)->size = n; return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) { return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasGetMathMode(cublasHandle_t, cublasMath_t* m) { *m = CUBLAS_DEFAULT_MATH; return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t, cublasPointerMode_t* m) { *m = CUBLAS_POINTER_MODE_HOST; return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t, cublasPointerMode_t) { return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasGemmEx(cublasHandle_t h, cublasOperation_t, cublasOperation_t, int, int, int, const void*, const void*, cudaDataType, int, const void*, cudaDataType, int, const void*, void*, cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t) { return blas(h, "cublasGemmEx"); }
API cublasStatus_t cublasSgemmEx(cublasHandle_t h, cublasOperation_t, cublasOperation_t, int, int, int, const float*, const void*, cudaDataType, int, const void*, cudaDataType, int, const float*, void*, cudaDataType, int) { return blas(h, "cublasSgemmEx"); }
API cublasStatus_t cublasSgemm_v2(cublasHandle_t h, cublasOperation_t, cublasOperation_t, int, int, int, const float*, const float*, int, const float*, int, const float*, float*, int) { return blas(h, "cublasSgemm"); }
API cublasStatus_t cublasDgemm_v2(cublasHandle_t h, cublasOperation_t, cublasOperation_t, int, int, int, const double*, const double*, int, const double*, int, const double*, double*, int) { return blas(h, "cublasDgemm"); }
API cublasStatus_t cublasSgemv_v2(cublasHandle_t h, cublasOperation_t, int, int, const float*, const float*, int, const float*, int, const float*, float*, int) { return blas(h, "cublasSgemv"); }
API cublasStatus_t cublasDgemv_v2(cublasHandle_t h, cublasOperation_t, int, int, const double*, const double*, int, const double*, int, const double*, double*, int) { return blas(h, "cublasDgemv"); }
API cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t h, cublasOperation_t, cublasOperation_t, int, int, int, const void*, const void*, cudaDataType, int, long long, const void*, cudaDataType, int, long long, const void*, void*, cudaDataType, int, long long, int, cublasComputeType_t, cublasGemmAlgo_t) { return blas(h, "cublasGemmStridedBatchedEx"); }
API cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t h, cublasOperation_t, cublasOperation_t, int, int, int, const float*, const float*, int, long long, const float*, int, long long, const float*, float*, int, long long, int) { return blas(h, "cublasSgemmStridedBatched"); }
API cublasStatus_t cublasDgemmStridedBatched(cublasHandle_t h, cublasOperation_t, cublasOperation_t, int, int, int, const double*, const double*, int, long long, const double*, int, long long, const double*, double*, int, long long, int) { return blas(h, "cublasDgemmStridedBatched"); }
API cublasStatus_t cublasSdot_v2(cublasHandle_t h, int, const float*, int, const float*, int, float*) { return blas(h, "cublasSdot"); }
API cublasStatus_t cublasDdot_v2(cublasHandle_t h, int, const double*, int, const double*, int, double*) { return blas(h, "cublasDdot"); }
API cublasStatus_t cublasDotEx(cublasHandle_t h, int, const void*, cudaDataType, int, const void*, cudaDataType, int, void*, cudaDataType, cudaDataType) { return blas(h, "cublasDotEx"); }
API size_t cublasLtGetVersion() { return 130000; }
API cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* d, cublasComputeType_t, cudaDataType_t) { *d = (cublasLtMatmulDesc_t)calloc(1, 64); return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) { free(d); return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, const void*, size_t) { return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* d, cudaDataType, uint64_t, uint64_t, int64_t) { *d = (cublasLtMatrixLayout_t)calloc(1, 64); return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t d) { free(d); return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t, cublasLtMatrixLayoutAttribute_t, const void*, size_t) { return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* d) { *d = (cublasLtMatmulPreference_t)calloc(1, 64); return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t d) { free(d); return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, const void*, size_t) { return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t* r, int* n) { memset(r, 0, sizeof *r); r->state = CUBLAS_STATUS_SUCCESS; *n = 1; return CUBLAS_STATUS_SUCCESS; }
API cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t, const void*, const void*, cublasLtMatrixLayout_t, const void*, cublasLtMatrixLayout_t, const void*, const void*, cublasLtMatrixLayout_t, void*, cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t*, void* w, size_t n, cudaStream_t st) {
  Lock l(mu); if (w && n && !inside(device_memory, w)) note("cublasLtMatmul: the workspace is no memory of the device"); if (w && n && of(st)->capturing) of(st)->graph->spaces.insert(w); node(of(st), "cublasLtMatmul"); return CUBLAS_STATUS_SUCCESS; }

// ---------------------------------------------------------------- cuDNN
struct Dnn { cudaStream_t stream = nullptr; };
struct Desc { cudnnBackendDescriptorType_t type; std::string op; };
static thread_local std::string last_op = "cudnn";
static std::unordered_map<void*, std::string> plans;
static std::unordered_map<void*, cudnnBackendDescriptorType_t> kinds;
API cudnnStatus_t cudnnCreate(cudnnHandle_t* h) { *h = (cudnnHandle_t)new Dnn; CALLED("cudnnCreate"); return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t s) { ((Dnn*)h)->stream = s; return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnGetStream(cudnnHandle_t h, cudaStream_t* s) { *s = ((Dnn*)h)->stream; return CUDNN_STATUS_SUCCESS; }
API size_t cudnnGetVersion() { return CUDNN_VERSION; }
API size_t cudnnGetCudartVersion() { return 13000; }
API const char* cudnnGetErrorString(cudnnStatus_t) { return "cudnn on paper"; }
API void cudnnGetLastErrorString(char* s, size_t n) { snprintf(s, n, "on paper"); }
API cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t t, cudnnBackendDescriptor_t* d) {
  *d = (cudnnBackendDescriptor_t)calloc(1, 64);
  Lock l(mu); kinds[*d] = t;
  if (t == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) last_op = "cudnn convolution forward";
  if (t == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR) last_op = "cudnn convolution backward data";
  if (t == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR) last_op = "cudnn convolution backward filter";
  return CUDNN_STATUS_SUCCESS;
}
API cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, int64_t, const void*) { return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) { Lock l(mu); if (kinds[d] == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) plans[d] = last_op; return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t asked, int64_t* count, void* out) {
  if (count) *count = 0;
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS || name == CUDNN_ATTR_ENGINECFG_ENGINE) { if (count) *count = 1; return CUDNN_STATUS_SUCCESS; }
  if (type == CUDNN_TYPE_INT64 && out && asked > 0) { *(int64_t*)out = name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE ? 1 << 20 : 0; if (count) *count = 1; }
  return CUDNN_STATUS_SUCCESS;
}
API cudnnStatus_t cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t p, cudnnBackendDescriptor_t) { Lock l(mu); auto it = plans.find(p); node(of(((Dnn*)h)->stream), it == plans.end() ? "cudnn" : it->second); return CUDNN_STATUS_SUCCESS; }
#define NEW(f, T) API cudnnStatus_t f(T* d) { *d = (T)calloc(1, 512); return CUDNN_STATUS_SUCCESS; }
NEW(cudnnCreateTensorDescriptor, cudnnTensorDescriptor_t)
NEW(cudnnCreateFilterDescriptor, cudnnFilterDescriptor_t)
NEW(cudnnCreateActivationDescriptor, cudnnActivationDescriptor_t)
API cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t, cudnnDataType_t, int, const int*, const int*) { return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnBatchNormalizationForwardTrainingEx(cudnnHandle_t h, cudnnBatchNormMode_t, cudnnBatchNormOps_t, const void*, const void*, const cudnnTensorDescriptor_t, const void*, const cudnnTensorDescriptor_t, const void*, const cudnnTensorDescriptor_t, void*, const cudnnTensorDescriptor_t, const void*, const void*, double, void*, void*, double, void*, void*, cudnnActivationDescriptor_t, void*, size_t, void*, size_t) { Lock l(mu); node(of(((Dnn*)h)->stream), "cudnn batch-norm forward"); return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnBatchNormalizationBackwardEx(cudnnHandle_t h, cudnnBatchNormMode_t, cudnnBatchNormOps_t, const void*, const void*, const void*, const void*, const cudnnTensorDescriptor_t, const void*, const cudnnTensorDescriptor_t, const void*, const cudnnTensorDescriptor_t, const void*, const cudnnTensorDescriptor_t, void*, const cudnnTensorDescriptor_t, void*, const cudnnTensorDescriptor_t, const void*, const void*, void*, void*, double, const void*, const void*, cudnnActivationDescriptor_t, void*, size_t, void*, size_t) { Lock l(mu); node(of(((Dnn*)h)->stream), "cudnn batch-norm backward"); return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnBatchNormalizationForwardInference(cudnnHandle_t h, cudnnBatchNormMode_t, const void*, const void*, const cudnnTensorDescriptor_t, const void*, const cudnnTensorDescriptor_t, void*, const cudnnTensorDescriptor_t, const void*, const void*, const void*, const void*, double) { Lock l(mu); node(of(((Dnn*)h)->stream), "cudnn batch-norm inference"); return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(cudnnHandle_t, cudnnBatchNormMode_t, cudnnBatchNormOps_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnActivationDescriptor_t, size_t* n) { *n = 1024; return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnGetBatchNormalizationBackwardExWorkspaceSize(cudnnHandle_t, cudnnBatchNormMode_t, cudnnBatchNormOps_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnTensorDescriptor_t, const cudnnActivationDescriptor_t, size_t* n) { *n = 1024; return CUDNN_STATUS_SUCCESS; }
API cudnnStatus_t cudnnGetBatchNormalizationTrainingExReserveSpaceSize(cudnnHandle_t, cudnnBatchNormMode_t, cudnnBatchNormOps_t, const cudnnActivationDescriptor_t, const cudnnTensorDescriptor_t, size_t* n) { *n = 1024; return CUDNN_STATUS_SUCCESS; }

// ---------------------------------------------------------------- the books, for Python
static std::string text;
static void lines(const std::map<std::string, long>& m) { for (auto& [k, v] : m) text += std::to_string(v) + "\t" + k + "\n"; }
API const char* paper_calls() { Lock l(mu); text.clear(); lines(calls); return text.c_str(); }
API const char* paper_kernels() { Lock l(mu); text.clear(); lines(kernels); return text.c_str(); }
API const char* paper_trouble() { Lock l(mu); text.clear(); for (auto& t : trouble) text += t + "\n"; return text.c_str(); }
API int paper_graphs() { Lock l(mu); return captured.size(); }
API const char* paper_graph(int i) { Lock l(mu); text.clear(); for (auto& n : captured.at(i)->nodes) text += n + "\n"; return text.c_str(); }
API const char* paper_spaces(int i) { Lock l(mu); text.clear(); for (auto* w : captured.at(i)->spaces) { char b[64]; snprintf(b, 64, "%p\n", w); text += b; } return text.c_str(); }
API void paper_reset() { Lock l(mu); calls.clear(); kernels.clear(); trouble.clear(); captured.clear(); }
API long paper_used() { Lock l(mu); return used; }
API void paper_limit(long bytes) { memory_limit = bytes; }
API void paper_slow(double ns) { nanoseconds = ns; }
API double paper_waited() { return waited; }
API void paper_break() { Lock l(mu); broken = true; }
