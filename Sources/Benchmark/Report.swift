import Glibc
import JSON

/// The table for people and the JSON for programs.
struct Report {
    let machine: Machine
    let isQuick: Bool
    let findings: [Finding]

    var markdown: String {
        ([machine.description, "", Finding.tableHead] + findings.map(\.tableRow))
            .joined(separator: "\n")
            + (isQuick ? "\n\nA quick run: too short to quote." : "")
    }

    func write(to path: String) throws {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("quick")
        writer.bool(isQuick)
        writer.key("machine")
        machine.write(to: &writer)
        writer.key("findings")
        writer.beginArray()
        for finding in findings { finding.write(to: &writer) }
        writer.endArray()
        writer.endObject()
        writer.newline()
        try TextFile.write(writer.bytes, to: path)
    }
}

/// What the numbers hold for.
struct Machine: CustomStringConvertible {
    let processor: String
    let cores: Int
    let kernel: String
    let postgres: String

    init(postgres: String) {
        let processors = (TextFile.read("/proc/cpuinfo") ?? "").split(separator: "\n")
        processor =
            processors.first { $0.hasPrefix("model name") }?.split(separator: ":").last
            .map { String($0.drop { $0 == " " }) } ?? "unknown processor"
        cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        kernel =
            TextFile.read("/proc/sys/kernel/osrelease").map { String($0.prefix { $0 != "\n" }) }
            ?? "unknown"
        self.postgres = postgres
    }

    var description: String {
        "\(processor), \(cores) cores, Linux \(kernel), PostgreSQL \(postgres), fsync and "
            + "synchronous_commit on"
    }

    fileprivate func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("processor")
        writer.string(processor)
        writer.key("cores")
        writer.integer(cores)
        writer.key("kernel")
        writer.string(kernel)
        writer.key("postgres")
        writer.string(postgres)
        writer.endObject()
    }
}

/// What goes on, on standard error.
enum Progress {
    static func say(_ text: String) {
        let line = Array((text + "\n").utf8)
        // Whoever closed the stream does not want to know.
        _ = write(STDERR_FILENO, line, line.count)
    }
}
