import Curl
import Glibc
import JSON
import Postgres
import Synchronization

/// Where the programs are.
struct Programs: Sendable {
    let benchmark: String
    let ledger: String

    /// The ledger built beside this program, unless another one is named.
    init(ledger: String?) {
        benchmark =
            realpath("/proc/self/exe", nil).map { path in
                defer { free(path) }
                return String(cString: path)
            } ?? CommandLine.arguments[0]
        let folder = benchmark.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        self.ledger = ledger ?? (folder + ["ledger"]).joined(separator: "/")
    }
}

/// A ledger of a scenario's own: a new directory, a new database, a new server.
///
/// PostgreSQL belongs to this process and the server attaches to it, so that the references run in
/// the very cluster the ledger uses.
final class Stage: Sendable {
    let directory: String
    let programs: Programs

    private struct Running {
        /// The server's own first.
        var databases: [EmbeddedServer] = []
        var children: [Child] = []
        var server: Child?
        var url = ""
        var isClosed = false
    }

    private let running = Mutex(Running())
    static let experiment = "BENCH"
    static let path = "/v1/experiments/\(experiment)/assignments"

    init(in parent: String, _ programs: Programs) throws {
        var template = Array("\(parent)/ledger-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TextFile.failure("mkdtemp in \(parent)") }
        directory = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        // Run by root, PostgreSQL has a user of its own who has to pass through.
        chmod(directory, 0o711)
        self.programs = programs
    }

    private static let dataName = "data"

    var dataDirectory: String { "\(directory)/\(Self.dataName)" }

    var url: String { running.withLock { $0.url } }

    var address: ServerAddress { ServerAddress(url: url) }

    /// Starts the database and the server, and creates the experiment.
    func open() throws {
        try startDatabase(Self.dataName)
        try startServer()
        _ = try send("PUT", "/v1/resources", Self.experimentDocument)
    }

    private func startServer() throws {
        let server = try start(
            [
                programs.ledger, "serve", "--listen", "127.0.0.1:0", "--data-dir", dataDirectory,
            ], name: "server")
        let url = try server.waitForURL()
        running.withLock { running in
            running.url = url
            running.server = server
        }
    }

    /// Starts the server anew, with nothing in its caches.
    func restartServer() throws {
        stopServer()
        try startServer()
    }

    func stopServer() { running.withLock { $0.server }?.stop() }

    /// Stops and removes all of it, once.
    func close() {
        running.withLock { running in
            if running.isClosed { return }
            running.isClosed = true
            for child in running.children.reversed() { child.stop() }
            for database in running.databases { database.stop() }
            // Nothing else may be below a directory that mkdtemp made.
            let remove = try? Child(
                ["rm", "-rf", "--", directory], outputPath: "/dev/null")
            try? remove?.finish()
        }
    }

    /// Starts a program that ends with the stage at the latest.
    func start(_ arguments: [String], name: String) throws -> Child {
        try running.withLock { running in
            guard !running.isClosed else { throw BenchmarkError("interrupted") }
            let child = try Child(arguments, outputPath: "\(directory)/\(name).log")
            running.children.append(child)
            return child
        }
    }

    /// Runs a command of the ledger to its end.
    func runLedger(_ arguments: String...) throws {
        try start([programs.ledger] + arguments, name: arguments[0]).finish()
    }

    /// The reference: a route that reads the body and answers as many bytes as the ledger does.
    func startBareRoute(answerBytes: Int) throws -> BareRoute.Process {
        let child = try start(
            [programs.benchmark, "bare-route", "--answer-bytes", "\(answerBytes)"], name: "bare")
        let port = try child.waitForLine("it listened") { line in
            line.hasPrefix(BareRoute.announcement)
                ? Int(line.dropFirst(BareRoute.announcement.count)) : nil
        }
        return BareRoute.Process(child: child, url: "http://127.0.0.1:\(port)")
    }
}

// MARK: HTTP

extension Stage {
    static let experimentDocument = """
        {"schemaVersion":1,"kind":"experiment",
         "metadata":{"id":"\(experiment)","name":"Benchmark","status":"active"},
         "spec":{
           "variants":[{"id":"CONTROL","isControl":true},{"id":"TREATMENT","isControl":false}],
           "cohorts":[{"index":1,"variants":[{"variant":"CONTROL","split":0.5},
                                             {"variant":"TREATMENT","split":0.5}]}]}}
        """

    func send(
        _ method: String, _ path: String, _ body: String, over transfer: Transfer = Transfer()
    ) throws -> [UInt8] {
        try address.send(method, path, body, over: transfer)
    }

    /// The size of the answer to a repeated request for one subject.
    func answerBytes(selects: Bool) throws -> Int {
        let subject = "\(Script.repeatPrefix)-0000000000"
        return selects
            ? try send("POST", Script.selections, Script.selection(subject)).count
            : try send("POST", Self.path, Script.body([subject])).count
    }

    private static let loaders = 4

    /// Assigns so many new subjects, `PREFIX-0000000000` and up.
    func assign(_ count: Int, prefix: String) throws {
        try load(Self.path, count, batch: Scenario.batchLength) { numbers in
            Script.body(numbers.map { "\(prefix)-\(Script.padded($0))" })
        }
    }

    /// Records a score of each of so many subjects.
    func score(_ count: Int, prefix: String) throws {
        try load("/v1/scores", count, batch: Scenario.batchLength) { numbers in
            Script.scores(
                numbers.map { "\(prefix)-\(Script.padded($0))" },
                value: Double(numbers.lowerBound * 7_919 % 10_007) / 100)
        }
    }

    /// Selects variants of so many new runs.
    func select(_ count: Int, prefix: String) throws {
        try load(Script.selections, count, batch: 1) { numbers in
            Script.selection("\(prefix)-\(Script.padded(numbers.lowerBound))")
        }
    }

    /// Milliseconds that each of so many answers takes, one after the other.
    func resultsMilliseconds(count: Int, units: Int) throws -> [Double] {
        let transfer = Transfer()
        let path = "/v1/experiments/\(Self.experiment)/results"
        return try (0..<count).map { _ in
            let clock = ContinuousClock.now
            let answer = try send("GET", path, "", over: transfer)
            let milliseconds = (ContinuousClock.now - clock).seconds * 1_000
            let scores = try JSONValue.parse(answer)["scores"]?.array?.first?["variants"]?.array
            let scored = scores?.reduce(0) { $0 + Int($1["units"]?.integer ?? 0) }
            guard scored == units else {
                throw BenchmarkError("the results speak of \(scored ?? 0) units, not \(units)")
            }
            return milliseconds
        }
    }

    /// Posts bodies for the numbers up to `count`, from several threads.
    private func load(
        _ path: String, _ count: Int, batch: Int,
        _ body: @escaping @Sendable (Range<Int>) -> String
    ) throws {
        let failure = Mutex<(any Error)?>(nil)
        let next = Atomic<Int>(0)
        let threads = (0..<Self.loaders).map { _ in
            OSThread.start(name: "loader") {
                let transfer = Transfer()
                while case let first = next.add(batch, ordering: .relaxed).oldValue,
                    first < count
                {
                    do {
                        _ = try self.send(
                            "POST", path, body(first..<min(first + batch, count)), over: transfer)
                    } catch {
                        failure.withLock { $0 = $0 ?? error }
                        return
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        if let error = failure.withLock({ $0 }) { throw error }
    }
}

// MARK: The database

extension Stage: LogDatabase {
    func connect() throws -> Connection {
        try Connection(conninfo(), applicationName: "ledger-bench")
    }

    func conninfo() throws -> String {
        guard let database = running.withLock({ $0.databases.first }) else {
            throw BenchmarkError("interrupted")
        }
        return database.conninfo
    }

    /// Starts a PostgreSQL under the stage's directory; it ends with the stage at the latest.
    @discardableResult
    func startDatabase(_ name: String) throws -> EmbeddedServer {
        let database = try EmbeddedServer.start(dataDirectory: "\(directory)/\(name)") { _ in }
        try running.withLock { running in
            guard !running.isClosed else {
                database.stop()
                throw BenchmarkError("interrupted")
            }
            running.databases.append(database)
        }
        return database
    }

    func postgresVersion() throws -> String {
        let connection = try connect()
        defer { connection.close() }
        for setting in ["fsync", "synchronous_commit"] {
            let value = try connection.query("SELECT current_setting('\(setting)')").text(0, 0)
            guard value == "on" else { throw BenchmarkError("\(setting) is \(value)") }
        }
        return try connection.query("SELECT current_setting('server_version')").text(0, 0)
    }
}

// MARK: Memory

extension Stage {
    func residentMegabytes() throws -> Double { try serverStatus("VmRSS") }

    func residentMegabytesPeak() throws -> Double { try serverStatus("VmHWM") }

    private func serverStatus(_ field: String) throws -> Double {
        let server = running.withLock { $0.server }
        guard let server, let status = TextFile.read("/proc/\(server.pid)/status"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("\(field):") }),
            let kilobytes = line.split(separator: "\t").last?.drop(while: { $0 == " " })
                .split(separator: " ").first.flatMap({ Double($0) })
        else { throw BenchmarkError("the server's memory can't be read") }
        return kilobytes / 1_024
    }
}
