/// The load: wrk with a script, for a fixed time.
enum Wrk {
    struct Summary {
        var requests: Int
        var seconds: Double
        var p50Milliseconds: Double
        var p99Milliseconds: Double

        var perSecond: Double { Double(requests) / seconds }
    }

    /// Runs a script against a server on this machine; any error or refusal ends the benchmark.
    static func run(
        _ script: Script, url: String, connections: Int, seconds: Int, _ stage: Stage
    ) throws -> Summary {
        try summary(
            of: start(script, url: url, connections: connections, seconds: seconds, stage))
    }

    static func start(
        _ script: Script, url: String, connections: Int, seconds: Int, _ stage: Stage
    ) throws -> Child {
        let file = stage.directory + "/load.lua"
        try TextFile.write(Array(script.text.utf8), to: file)
        return try stage.start(
            [
                "wrk", "-t\(script.threads)", "-c\(connections)", "-d\(seconds)s",
                "--timeout", "10s", "-s", file, url,
            ], name: "wrk")
    }

    /// Waits for the end of a run.
    static func summary(of child: Child) throws -> Summary {
        try child.finish()
        let fields = try child.waitForLine("it reported") { line in
            line.hasPrefix(Script.reportPrefix)
                ? line.dropFirst(Script.reportPrefix.count).split(separator: " ")
                    .compactMap { Double($0) } : nil
        }
        guard fields.count == 9 else { throw BenchmarkError("wrk reported \(fields)") }
        guard fields[4...].allSatisfy({ $0 == 0 }) else {
            throw BenchmarkError(
                "wrk saw errors: connect, read, write, status, timeout = \(fields[4...])")
        }
        guard fields[0] > 0 else { throw BenchmarkError("no request was answered") }
        return Summary(
            requests: Int(fields[0]), seconds: fields[1] / 1e6,
            p50Milliseconds: fields[2] / 1e3, p99Milliseconds: fields[3] / 1e3)
    }
}
