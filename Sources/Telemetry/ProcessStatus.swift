import Glibc

/// What the kernel and the clock say about this process, under Prometheus' own names for it.
enum ProcessStatus {
    static func register(in registry: Metrics) {
        registry.gauge("process_resident_memory_bytes", help: "Memory of the process in RAM.") {
            Double(residentBytes() ?? 0)
        }
        let start = Timestamp.now
        registry.gauge(
            "process_start_time_seconds",
            help: "When the process started its work, in seconds since 1970."
        ) {
            Double(start.secondsSince1970) + Double(start.microseconds) / 1_000_000
        }
    }

    /// The second figure of `/proc/self/statm`, which counts in pages; nil where there is none.
    static func residentBytes() -> Int? {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 128)
        let count = read(file, &buffer, buffer.count)
        guard count > 0 else { return nil }
        let figures = String(decoding: buffer.prefix(count), as: UTF8.self).split(separator: " ")
        guard figures.count > 1, let pages = Int(figures[1]) else { return nil }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }
}
