// The project's one C++ file: RocksDB's FileSystem and Env over index_file.h.
#include "store/local/rocksdb_fs.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>

#include <cassert>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "store/local/index_file.h"

namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

struct VolumeClose {
  void operator()(index_volume *vol) const { index_volume_close(vol); }
};
using Volume = std::unique_ptr<index_volume, VolumeClose>;

// DOM_NO_SPACE is a plain IOError on purpose: RocksDB answers its own NoSpace code with a
// thread that polls and resumes, and a failed write is never retried here.
IOStatus StatusOf(dom_code code, const dom_err &err) {
  switch (code) {
  case DOM_OK:
    return IOStatus::OK();
  case DOM_NOT_FOUND:
    return IOStatus::PathNotFound(err.text);
  case DOM_CORRUPT:
    return IOStatus::Corruption(err.text);
  case DOM_DENIED:
  case DOM_INVALID:
  case DOM_INCOMPATIBLE:
    return IOStatus::InvalidArgument(err.text);
  default:
    return IOStatus::IOError(dom_code_name(code), err.text);
  }
}

class SequentialFile : public rocksdb::FSSequentialFile {
public:
  explicit SequentialFile(index_reader *reader) : reader_(reader) { assert(reader); }
  ~SequentialFile() override { index_reader_free(reader_); }

  IOStatus Read(size_t n, const IOOptions &, Slice *result, char *scratch, IODebugContext *) override {
    dom_err err = {};
    size_t len = 0;
    dom_code code = index_reader_read(reader_, at_, scratch, n, &len, &err);
    if (code == DOM_OK) {
      at_ += len;
      *result = Slice(scratch, len);
    }
    return StatusOf(code, err);
  }
  IOStatus Skip(uint64_t n) override {
    uint64_t left = index_reader_size(reader_) - at_;
    at_ += n < left ? n : left;
    return IOStatus::OK();
  }
  IOStatus InvalidateCache(size_t, size_t) override { return IOStatus::OK(); }

private:
  index_reader *reader_;
  uint64_t at_ = 0;
};

class RandomAccessFile : public rocksdb::FSRandomAccessFile {
public:
  explicit RandomAccessFile(index_reader *reader) : reader_(reader) { assert(reader); }
  ~RandomAccessFile() override { index_reader_free(reader_); }

  IOStatus Read(uint64_t offset, size_t n, const IOOptions &, Slice *result, char *scratch,
                IODebugContext *) const override {
    dom_err err = {};
    size_t len = 0;
    dom_code code = index_reader_read(reader_, offset, scratch, n, &len, &err);
    if (code == DOM_OK) *result = Slice(scratch, len);
    return StatusOf(code, err);
  }
  IOStatus Prefetch(uint64_t, size_t, const IOOptions &, IODebugContext *) override { return IOStatus::OK(); }
  IOStatus InvalidateCache(size_t, size_t) override { return IOStatus::OK(); }

private:
  index_reader *reader_;
};

class WritableFile : public rocksdb::FSWritableFile {
public:
  explicit WritableFile(index_writer *writer) : writer_(writer) { assert(writer); }
  ~WritableFile() override { index_writer_free(writer_); }

  using rocksdb::FSWritableFile::Append;
  using rocksdb::FSWritableFile::PositionedAppend;

  IOStatus Append(const Slice &data, const IOOptions &, IODebugContext *) override {
    dom_err err = {};
    if (data.size() > 0) dirty_ = true;
    dom_code code = index_writer_append(writer_, data.data(), data.size(), &err);
    return StatusOf(code, err);
  }
  IOStatus Append(const Slice &data, const IOOptions &options, const rocksdb::DataVerificationInfo &,
                  IODebugContext *dbg) override {
    return Append(data, options, dbg);
  }
  IOStatus Truncate(uint64_t size, const IOOptions &, IODebugContext *) override {
    if (size > index_writer_size(writer_)) return IOStatus::InvalidArgument("truncate beyond the end");
    if (size == index_writer_size(writer_)) return IOStatus::OK();
    dirty_ = true;
    dom_err err = {};
    return StatusOf(index_writer_truncate(writer_, size, &err), err);
  }
  // A file's length is what its last sync made durable, so closing syncs what is left.
  IOStatus Close(const IOOptions &options, IODebugContext *dbg) override {
    if (!writer_) return IOStatus::OK();
    IOStatus s = dirty_ ? Sync(options, dbg) : IOStatus::OK();
    index_writer_free(writer_);
    writer_ = nullptr;
    return s;
  }
  IOStatus Flush(const IOOptions &, IODebugContext *) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions &, IODebugContext *) override {
    dom_err err = {};
    dom_code code = index_writer_sync(writer_, &err);
    if (code == DOM_OK) dirty_ = false;
    return StatusOf(code, err);
  }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions &, IODebugContext *) override {
    return IOStatus::OK();
  }
  IOStatus Allocate(uint64_t, uint64_t, const IOOptions &, IODebugContext *) override {
    return IOStatus::OK();
  }
  void PrepareWrite(size_t, size_t, const IOOptions &, IODebugContext *) override {}
  IOStatus InvalidateCache(size_t, size_t) override { return IOStatus::OK(); }
  uint64_t GetFileSize(const IOOptions &, IODebugContext *) override {
    return writer_ ? index_writer_size(writer_) : 0;
  }

private:
  index_writer *writer_;
  bool dirty_ = false;
};

class Directory : public rocksdb::FSDirectory {
public:
  Directory(index_volume *vol, std::string path) : vol_(vol), path_(std::move(path)) { assert(vol); }

  IOStatus Fsync(const IOOptions &, IODebugContext *) override {
    dom_err err = {};
    return StatusOf(index_dir_sync(vol_, path_.c_str(), &err), err);
  }
  IOStatus Close(const IOOptions &, IODebugContext *) override { return IOStatus::OK(); }

private:
  index_volume *vol_;
  std::string path_;
};

class Lock : public rocksdb::FileLock {
public:
  explicit Lock(disk_file *file) : file_(file) { assert(file); }
  ~Lock() override { index_lock_drop(file_); }

private:
  disk_file *file_;
};

class NoLog : public rocksdb::Logger {
public:
  NoLog() : rocksdb::Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char *, va_list) override {}
};

bool CollectName(void *arg, const char *name, bool) {
  static_cast<std::vector<std::string> *>(arg)->emplace_back(name);
  return true;
}

bool IsOptionsFile(const std::string &name) {
  size_t slash = name.rfind('/');
  return name.compare(slash == std::string::npos ? 0 : slash + 1, 8, "OPTIONS-") == 0;
}

bool IsIdentityFile(const std::string &name) {
  size_t slash = name.rfind('/');
  return name.compare(slash == std::string::npos ? 0 : slash + 1, std::string::npos, "IDENTITY") == 0;
}

class IndexFileSystem : public rocksdb::FileSystem {
public:
  explicit IndexFileSystem(Volume vol) : vol_(std::move(vol)) { assert(vol_); }
  const char *Name() const override { return "DomicileIndex"; }

  IOStatus NewSequentialFile(const std::string &name, const rocksdb::FileOptions &,
                             std::unique_ptr<rocksdb::FSSequentialFile> *result, IODebugContext *) override {
    IOStatus s = OpenReader<SequentialFile>(name, result);
    // RocksDB makes up a lost identity, which nothing here reads, but asserts that it does not rot.
    return s.IsCorruption() && IsIdentityFile(name) ? IOStatus::NotFound() : s;
  }
  IOStatus NewRandomAccessFile(const std::string &name, const rocksdb::FileOptions &,
                               std::unique_ptr<rocksdb::FSRandomAccessFile> *result,
                               IODebugContext *) override {
    return OpenReader<RandomAccessFile>(name, result);
  }
  // RocksDB goes on without its OPTIONS file, which nothing here reads.
  IOStatus NewWritableFile(const std::string &name, const rocksdb::FileOptions &,
                           std::unique_ptr<rocksdb::FSWritableFile> *result, IODebugContext *) override {
    if (IsOptionsFile(name)) return IOStatus::NotSupported("no options file");
    dom_err err = {};
    char path[INDEX_PATH_MAX];
    index_writer *writer = nullptr;
    dom_code code = index_volume_path(vol_.get(), name.c_str(), path, &err);
    if (code == DOM_OK) code = index_writer_open(vol_.get(), path, &writer, &err);
    if (code == DOM_OK) result->reset(new WritableFile(writer));
    return StatusOf(code, err);
  }
  // Appending to a file of before, under its key, is what an index file never does.
  IOStatus ReuseWritableFile(const std::string &, const std::string &, const rocksdb::FileOptions &,
                             std::unique_ptr<rocksdb::FSWritableFile> *, IODebugContext *) override {
    return IOStatus::NotSupported("index files are not reused");
  }
  IOStatus NewDirectory(const std::string &name, const IOOptions &,
                        std::unique_ptr<rocksdb::FSDirectory> *result, IODebugContext *) override {
    char path[INDEX_PATH_MAX];
    bool is_dir = false;
    uint64_t mtime = 0;
    IOStatus s = Stat(name, path, &is_dir, &mtime);
    if (!s.ok()) return s;
    if (!is_dir) return IOStatus::IOError("not a directory");
    result->reset(new Directory(vol_.get(), path));
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string &name, const IOOptions &, IODebugContext *) override {
    char path[INDEX_PATH_MAX];
    bool is_dir = false;
    uint64_t mtime = 0;
    IOStatus s = Stat(name, path, &is_dir, &mtime);
    return s.IsPathNotFound() ? IOStatus::NotFound() : s;
  }
  IOStatus GetChildren(const std::string &name, const IOOptions &, std::vector<std::string> *result,
                       IODebugContext *) override {
    dom_err err = {};
    char path[INDEX_PATH_MAX];
    std::vector<std::string> names;
    dom_code code = index_volume_path(vol_.get(), name.c_str(), path, &err);
    if (code == DOM_OK) code = index_name_list(vol_.get(), path, CollectName, &names, &err);
    if (code == DOM_NOT_FOUND) return IOStatus::NotFound(err.text);
    if (code == DOM_OK) *result = std::move(names);
    return StatusOf(code, err);
  }
  IOStatus DeleteFile(const std::string &name, const IOOptions &, IODebugContext *) override {
    return OnPath(name, index_name_unlink);
  }
  IOStatus CreateDir(const std::string &name, const IOOptions &, IODebugContext *) override {
    return OnPath(name, index_dir_make);
  }
  IOStatus CreateDirIfMissing(const std::string &name, const IOOptions &, IODebugContext *) override {
    return OnPath(name, index_dir_make);
  }
  IOStatus DeleteDir(const std::string &name, const IOOptions &, IODebugContext *) override {
    return OnPath(name, index_dir_remove);
  }
  IOStatus GetFileSize(const std::string &name, const IOOptions &, uint64_t *size,
                       IODebugContext *) override {
    std::unique_ptr<index_reader, void (*)(index_reader *)> reader(nullptr, index_reader_free);
    IOStatus s = Open(name, &reader);
    if (s.ok()) *size = index_reader_size(reader.get());
    return s;
  }
  IOStatus GetFileModificationTime(const std::string &name, const IOOptions &, uint64_t *mtime,
                                   IODebugContext *) override {
    char path[INDEX_PATH_MAX];
    bool is_dir = false;
    return Stat(name, path, &is_dir, mtime);
  }
  IOStatus RenameFile(const std::string &from, const std::string &to, const IOOptions &,
                      IODebugContext *) override {
    dom_err err = {};
    char from_path[INDEX_PATH_MAX], to_path[INDEX_PATH_MAX];
    dom_code code = index_volume_path(vol_.get(), from.c_str(), from_path, &err);
    if (code == DOM_OK) code = index_volume_path(vol_.get(), to.c_str(), to_path, &err);
    if (code == DOM_OK) code = index_name_rename(vol_.get(), from_path, to_path, &err);
    return StatusOf(code, err);
  }
  IOStatus LockFile(const std::string &name, const IOOptions &, rocksdb::FileLock **lock,
                    IODebugContext *) override {
    dom_err err = {};
    char path[INDEX_PATH_MAX];
    disk_file *file = nullptr;
    dom_code code = index_volume_path(vol_.get(), name.c_str(), path, &err);
    if (code == DOM_OK) code = index_lock_take(vol_.get(), path, &file, &err);
    if (code == DOM_OK) *lock = new Lock(file);
    return StatusOf(code, err);
  }
  IOStatus UnlockFile(rocksdb::FileLock *lock, const IOOptions &, IODebugContext *) override {
    delete static_cast<Lock *>(lock);
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions &, std::string *, IODebugContext *) override {
    return IOStatus::NotSupported("no test directory");
  }
  IOStatus NewLogger(const std::string &, const IOOptions &, std::shared_ptr<rocksdb::Logger> *result,
                     IODebugContext *) override {
    *result = std::make_shared<NoLog>();
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string &name, const IOOptions &, std::string *result,
                           IODebugContext *) override {
    *result = name;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string &, const IOOptions &, uint64_t *bytes, IODebugContext *) override {
    dom_err err = {};
    return StatusOf(index_free_bytes(vol_.get(), bytes, &err), err);
  }
  IOStatus IsDirectory(const std::string &name, const IOOptions &, bool *is_dir, IODebugContext *) override {
    char path[INDEX_PATH_MAX];
    uint64_t mtime = 0;
    return Stat(name, path, is_dir, &mtime);
  }

private:
  using Reader = std::unique_ptr<index_reader, void (*)(index_reader *)>;

  IOStatus Open(const std::string &name, Reader *out) {
    dom_err err = {};
    char path[INDEX_PATH_MAX];
    index_reader *reader = nullptr;
    dom_code code = index_volume_path(vol_.get(), name.c_str(), path, &err);
    if (code == DOM_OK) code = index_reader_open(vol_.get(), path, &reader, &err);
    if (code == DOM_OK) out->reset(reader);
    return StatusOf(code, err);
  }
  template <class File, class Result> IOStatus OpenReader(const std::string &name, Result *result) {
    Reader reader(nullptr, index_reader_free);
    IOStatus s = Open(name, &reader);
    if (s.ok()) result->reset(new File(reader.release()));
    return s;
  }
  IOStatus OnPath(const std::string &name, dom_code (*fn)(index_volume *, const char *, dom_err *)) {
    dom_err err = {};
    char path[INDEX_PATH_MAX];
    dom_code code = index_volume_path(vol_.get(), name.c_str(), path, &err);
    if (code == DOM_OK) code = fn(vol_.get(), path, &err);
    return StatusOf(code, err);
  }
  IOStatus Stat(const std::string &name, char path[INDEX_PATH_MAX], bool *is_dir, uint64_t *mtime) {
    dom_err err = {};
    dom_code code = index_volume_path(vol_.get(), name.c_str(), path, &err);
    if (code == DOM_OK) code = index_name_stat(vol_.get(), path, is_dir, mtime, &err);
    return StatusOf(code, err);
  }

  Volume vol_;
};

// Background jobs of the simulation: kept in the order they were scheduled, run by whoever
// pumps. RocksDB schedules with its mutex held, so nothing may run inside Schedule.
class JobQueue {
public:
  struct Job {
    void (*run)(void *arg);
    void (*cancel)(void *arg);
    void *arg, *tag;
    rocksdb::Env::Priority priority;
  };

  void Add(const Job &job) {
    std::lock_guard<std::mutex> hold(mutex_);
    jobs_.push_back(job);
    changed_.notify_all();
  }
  // RocksDB's contract: those of a tag are taken out and their cancel function is called.
  int Remove(void *tag, rocksdb::Env::Priority priority) {
    std::deque<Job> kept, removed;
    {
      std::lock_guard<std::mutex> hold(mutex_);
      for (const Job &job : jobs_)
        (job.tag == tag && job.priority == priority ? removed : kept).push_back(job);
      jobs_.swap(kept);
    }
    for (const Job &job : removed) {
      if (job.cancel) job.cancel(job.arg);
    }
    return static_cast<int>(removed.size());
  }
  unsigned Count(rocksdb::Env::Priority priority) {
    std::lock_guard<std::mutex> hold(mutex_);
    unsigned count = 0;
    for (const Job &job : jobs_) count += job.priority == priority;
    return count;
  }
  // Runs jobs until none is left and *done (guarded by the mutex; see Finish) is true.
  void Pump(const bool *done) {
    std::unique_lock<std::mutex> hold(mutex_);
    for (;;) {
      if (!jobs_.empty()) {
        Job job = jobs_.front();
        jobs_.pop_front();
        hold.unlock();
        job.run(job.arg);
        hold.lock();
      } else if (*done) {
        return;
      } else {
        changed_.wait(hold);
      }
    }
  }
  void Finish(bool *done) {
    std::lock_guard<std::mutex> hold(mutex_);
    *done = true;
    changed_.notify_all();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
};

class InlineEnv : public rocksdb::EnvWrapper {
public:
  InlineEnv(std::unique_ptr<rocksdb::Env> target, const std::shared_ptr<rocksdb::FileSystem> &files)
      : rocksdb::EnvWrapper(std::move(target)) {
    file_system_ = files; // else RocksDB would reach it through a wrapper for old Envs
  }
  const char *Name() const override { return "DomicileInline"; }

  void Schedule(void (*run)(void *), void *arg, Priority priority, void *tag,
                void (*cancel)(void *)) override {
    jobs.Add({run, cancel, arg, tag, priority});
  }
  int UnSchedule(void *tag, Priority priority) override { return jobs.Remove(tag, priority); }
  void SetBackgroundThreads(int number, Priority priority) override {
    if (priority != BOTTOM) threads_[priority] = number;
  }
  int GetBackgroundThreads(Priority priority) override { return priority == BOTTOM ? 0 : threads_[priority]; }
  void IncBackgroundThreadsIfNeeded(int number, Priority priority) override {
    if (priority != BOTTOM && threads_[priority] < number) threads_[priority] = number;
  }
  unsigned int GetThreadPoolQueueLen(Priority priority) const override { return jobs.Count(priority); }

  // RocksDB sleeps a second after a failed job, so as not to spin; nothing spins here.
  void SleepForMicroseconds(int) override {}

  mutable JobQueue jobs;

private:
  int threads_[TOTAL] = {0};
};

// rocksdb_options_t begins with its Options, which the C API hides and has no setters for
// some of. Checked once against a setter and a getter of the C API.
rocksdb::Options *OptionsOf(rocksdb_options_t *options) {
  return reinterpret_cast<rocksdb::Options *>(options);
}

bool LayoutIsKnown() {
  rocksdb_options_t *probe = rocksdb_options_create();
  bool known = OptionsOf(probe)->env == rocksdb::Env::Default();
  rocksdb_options_set_max_open_files(probe, 12345);
  known = known && OptionsOf(probe)->max_open_files == 12345;
  rocksdb_options_set_stats_persist_period_sec(probe, 54321);
  known = known && OptionsOf(probe)->stats_persist_period_sec == 54321;
  rocksdb_options_destroy(probe);
  return known;
}

void SetOptions(rocksdb::Options *o, rocksdb::Env *env, bool inline_background) {
  o->env = env;
  o->allow_mmap_reads = o->allow_mmap_writes = false;
  o->use_direct_reads = o->use_direct_io_for_flush_and_compaction = false;
  o->recycle_log_file_num = 0;
  o->keep_log_file_num = 1;
  o->log_file_time_to_roll = 0;
  o->fail_if_options_file_error = false;
  o->max_bgerror_resume_count = 0; // a failed write is never retried
  o->stats_dump_period_sec = 0;
  o->stats_persist_period_sec = 0;
  if (!inline_background) return;
  o->max_subcompactions = 1;
  o->max_file_opening_threads = 1;
  o->avoid_flush_during_shutdown = true; // closing would wait for a job that nobody runs
}

} // namespace

struct rocksdb_fs {
  std::shared_ptr<IndexFileSystem> files;
  std::unique_ptr<rocksdb::Env> env;
  InlineEnv *inline_env = nullptr; // env, when background work is inline
  std::string path;
};

dom_code rocksdb_fs_attach(rocksdb_options_t *options, disk *disk, const char *folder,
                           const uint8_t index_key[32], bool inline_background, rocksdb_fs **out,
                           dom_err *err) {
  assert(options && disk && folder && index_key && out);
  if (!LayoutIsKnown()) {
    return dom_fail(err, DOM_INCOMPATIBLE, "store/index: attach",
                    "the RocksDB library's options are not laid out as in the headers of this build");
  }
  index_volume *opened = nullptr;
  dom_code code = index_volume_open(disk, folder, index_key, &opened, err);
  if (code != DOM_OK) return code;
  Volume vol(opened);
  try {
    auto fs = std::make_unique<rocksdb_fs>();
    fs->path = std::string("/") + folder;
    fs->files = std::make_shared<IndexFileSystem>(std::move(vol));
    fs->env = rocksdb::NewCompositeEnv(fs->files);
    if (inline_background) {
      auto env = std::make_unique<InlineEnv>(std::move(fs->env), fs->files);
      fs->inline_env = env.get();
      fs->env = std::move(env);
    }
    SetOptions(OptionsOf(options), fs->env.get(), inline_background);
    *out = fs.release();
    return DOM_OK;
  } catch (const std::bad_alloc &) {
    return dom_fail(err, DOM_NO_MEMORY, "store/index: attach", "no memory");
  }
}

void rocksdb_fs_free(rocksdb_fs *fs) {
  delete fs;
}

const char *rocksdb_fs_path(const rocksdb_fs *fs) {
  assert(fs);
  return fs->path.c_str();
}

void rocksdb_fs_run_background(rocksdb_fs *fs) {
  assert(fs);
  const bool done = true;
  if (fs->inline_env) fs->inline_env->jobs.Pump(&done);
}

dom_code rocksdb_fs_call(rocksdb_fs *fs, void (*fn)(void *arg), void *arg, dom_err *err) {
  assert(fs && fn);
  if (!fs->inline_env) {
    fn(arg);
    return DOM_OK;
  }
  rocksdb_fs_run_background(fs);
  JobQueue &jobs = fs->inline_env->jobs;
  bool done = false;
  try {
    std::thread helper([&] {
      fn(arg);
      jobs.Finish(&done);
    });
    jobs.Pump(&done);
    helper.join();
  } catch (const std::system_error &) {
    return dom_fail(err, DOM_NO_MEMORY, "store/index: call", "no thread for RocksDB's call");
  }
  return DOM_OK;
}
