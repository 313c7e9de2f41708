import Glibc
import Synchronization
import Testing

@testable import Postgres

/// One PostgreSQL for all tests of the process, stopped and removed when it exits.
enum TestServer {
    static let shared: EmbeddedServer = {
        let server = try! EmbeddedServer.start(dataDirectory: directory, report: { _ in })
        atexit {
            TestServer.shared.stop()
            try? FileSystem.removeTree(TestServer.directory)
        }
        return server
    }()

    private static let directory = "/tmp/ledger-postgres-tests-\(getpid())"

    static func connect(_ name: String = "test") throws -> Connection {
        try Connection(shared.conninfo, applicationName: name)
    }

    static func pool(size: Int = 2, queueMax: Int = 1024) -> ConnectionPool {
        ConnectionPool(conninfo: shared.conninfo, size: size, name: "pool", queueMax: queueMax)
    }
}

/// A directory of a test's own.
func temporaryDirectory() -> String {
    var template = Array("/tmp/ledger-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("mkdtemp") }
    return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// The lines a server reported, to be waited for.
final class Reports: Sendable {
    private let lines = Mutex<[String]>([])
    private let added = Signal()

    var report: @Sendable (String) -> Void {
        { line in
            self.lines.withLock { $0.append(line) }
            self.added.wake()
        }
    }

    var all: [String] { lines.withLock { $0 } }

    /// Whether a line with these words comes before the deadline.
    func wait(for words: String, timeout: Duration = .seconds(60)) -> Bool {
        let deadline = ContinuousClock.now + timeout
        while ContinuousClock.now < deadline {
            if all.contains(where: { $0.contains(words) }) { return true }
            added.wait(timeout: ContinuousClock.now.duration(to: deadline))
        }
        return false
    }
}

/// Runs the body and returns the `PostgresError` it must throw.
func postgresError(_ body: () throws -> Void) -> PostgresError? {
    do {
        try body()
    } catch {
        return error as? PostgresError
    }
    Issue.record("nothing was thrown")
    return nil
}
