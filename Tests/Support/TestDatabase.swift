import EventLog
import Logging
import Postgres
import Secrets
import Synchronization
import Telemetry

/// A database of a test's own, on ``TestServer``.
///
/// It goes with the server; tests need not drop it.
package struct TestDatabase: Sendable {
    package let conninfo: String

    private static let count = Atomic<Int>(0)

    /// A migrated ledger without an event, from which the others are copied.
    private static let template: Result<String, any Error> = Result {
        let name = "ledger_template"
        try create(name, from: "template0")
        let connection = try Connection(
            TestServer.conninfo(database: name), applicationName: "template")
        defer { connection.close() }
        try Migrations.apply(connection)
        return name
    }

    private static let isCreating = Mutex(())

    private static func create(_ name: String, from template: String) throws {
        // One at a time: a database can't be copied while another session is in it.
        try isCreating.withLock { _ in
            let connection = try Connection(TestServer.conninfo, applicationName: "create")
            defer { connection.close() }
            try connection.execute("CREATE DATABASE \(name) TEMPLATE \(template)")
        }
    }

    /// A migrated ledger without an event; or, without `isMigrated`, nothing at all.
    package init(isMigrated: Bool = true) throws {
        let number = Self.count.add(1, ordering: .relaxed).newValue
        let name = "test_\(number)"
        try Self.create(name, from: isMigrated ? Self.template.get() : "template0")
        conninfo = TestServer.conninfo(database: name)
    }

    /// A connection as superuser.
    package func connect() throws -> Connection {
        try Connection(conninfo, applicationName: "test")
    }

    /// Runs statements as superuser.
    package func execute(_ sql: String) throws {
        let connection = try connect()
        defer { connection.close() }
        try connection.execute(sql)
    }

    /// Changes what triggers protect, as only a superuser can.
    package func tamper(_ sql: String) throws {
        try execute("SET session_replication_role = replica; \(sql)")
    }

    /// The first column of a query's rows, as text.
    package func texts(_ sql: String) throws -> [String] {
        let connection = try connect()
        defer { connection.close() }
        let rows = try connection.query("SELECT x::text FROM (\(sql)) AS q(x)")
        return (0..<rows.count).map { rows.text($0, 0) }
    }

    /// Two connections, opened when they are used; to be shut down.
    package func pool() -> ConnectionPool {
        ConnectionPool(conninfo: conninfo, size: 2, name: "test pool")
    }

    /// Becomes the leader of the ledger in this database.
    package func lead(
        metrics: LedgerMetrics = LedgerMetrics(), logger: Logger = .silent,
        secrets: SecretBox? = nil
    ) throws -> EventLog {
        try EventLog.lead(conninfo: conninfo, metrics: metrics, logger: logger, secrets: secrets)
    }
}

extension Logger {
    /// Says nothing.
    package static var silent: Logger {
        Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    }
}
