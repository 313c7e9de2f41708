import EventLog
import Postgres
import Schema

/// Another rebuild is at work.
package struct RebuildRunningError: Error, CustomStringConvertible {
    package var description: String {
        "Another rebuild of the projections is running in this database. Wait until it is done."
    }
}

/// The thread that reads the log went without a word.
struct LostReaderError: Error, CustomStringConvertible {
    let description = "the log could not be read to its end; run the rebuild again"
}

/// Progress of a rebuild: events done, of how many. Throwing calls the rebuild off.
package typealias RebuildProgress = @Sendable (_ done: Int, _ total: Int) throws -> Void

/// Builds all projections from position 0 in a schema of their own, beside the live ones.
///
/// While the log is loaded two threads work: one reads it and folds, over a connection of its own;
/// this one passes on what comes of it to PostgreSQL, which stores it in a second process. Tables
/// have no indexes until they are filled.
///
/// It holds an advisory lock, so there is one build at a time, and what a killed one left behind
/// is dropped by the next.
final class ShadowBuild {
    let connection: Connection
    /// The fold up to the last event that is written to the shadow.
    private(set) var fold = ProjectionFold()
    private let conninfo: String
    private let writer = ProjectionWriter(schema: ProjectionSchema.next)

    /// Connects and takes the lock.
    init(conninfo: String) throws {
        self.conninfo = conninfo
        connection = try Connection(conninfo, applicationName: "ledger rebuild")
        try LogScan.prepare(connection)
        try connection.execute(
            """
            SET maintenance_work_mem = '512MB'; SET max_parallel_maintenance_workers = 2;
            SELECT set_config('wal_compression', 'off', false)
             WHERE has_parameter_privilege('wal_compression', 'SET')
            """)
        try lock()
        try ProjectionSchema.drop(ProjectionSchema.next, connection)
        try ProjectionSchema.drop(ProjectionSchema.old, connection)
    }

    deinit { connection.close() }

    /// Takes the lock; PostgreSQL may need a moment to end the session that had it last.
    private func lock() throws {
        let lock = "SELECT pg_try_advisory_lock(\(AdvisoryLock.projections))"
        let deadline = ContinuousClock.now + Self.lockPatience
        let pause = Signal()
        while try !connection.query(lock).bool(0, 0) {
            guard ContinuousClock.now < deadline else { throw RebuildRunningError() }
            _ = pause.wait(timeout: .milliseconds(20))
        }
    }

    private static let lockPatience = Duration.seconds(1)

    // MARK: Building

    /// Makes the tables, fills them with the events up to a position, and makes the indexes.
    func build(through end: Int64, progress: @escaping RebuildProgress) throws {
        try transaction {
            let schema = ProjectionSchema.next
            try connection.execute(
                """
                CREATE SCHEMA \(schema); SET LOCAL search_path = \(schema);
                \(Schema.projectionTables)
                """)
            try load(through: end, progress: progress)
            try writer.write(fold, connection)
            try ScoreWriter(schema: schema).load(connection)
        }
        fold.clear()
        try transaction {
            try connection.execute(
                """
                SET LOCAL search_path = \(ProjectionSchema.next); \(Schema.projectionIndexes)
                """)
        }
        for table in ProjectionSchema.tables {
            try connection.execute("ANALYZE \(ProjectionSchema.next).\(table.name)")
        }
    }

    /// Runs the reader's thread, and copies the rows that it sends.
    private func load(through end: Int64, progress: @escaping RebuildProgress) throws {
        let reader = FoldReader(conninfo: conninfo, end: end, progress: progress)
        let thread = OSThread.start(name: "rebuild reader") { reader.run() }
        defer {
            reader.channel.close()
            thread.join()
        }
        var outcome: Result<ProjectionFold, any Error>?
        var next = reader.channel.receive()
        while let message = next {
            switch message {
            case .rows(let table, let rows):
                next = try copy(rows, into: table, followedBy: reader.channel)
            case .end(let result):
                outcome = result
                next = nil
            }
        }
        guard let outcome else { throw LostReaderError() }
        fold = try outcome.get()
    }

    /// Copies rows into a table, and those that follow as long as they are the same table's.
    ///
    /// The table is made by this transaction, so its rows can be frozen as they are written: the
    /// index build and the first readers need not settle who sees them.
    ///
    /// - Returns: the first message that is something else; nil where there is none.
    private func copy(
        _ rows: CopyRows, into table: String, followedBy channel: BoundedChannel<FoldMessage>
    ) throws -> FoldMessage? {
        var other: FoldMessage?
        let copy = "COPY \(ProjectionSchema.next).\(table) FROM STDIN (FORMAT binary, FREEZE)"
        _ = try connection.copyIn(copy) { writer in
            try writer.append(rows)
            while let message = channel.receive() {
                guard case .rows(table, let rows) = message else {
                    other = message
                    return
                }
                try writer.append(rows)
            }
        }
        return other
    }

    // MARK: Catching up

    /// Folds and writes the events up to a position, inside the caller's transaction.
    func append(through end: Int64) throws {
        var next = fold
        try next.read(through: end, connection)
        try writer.write(next, connection)
        next.clear()
        fold = next
    }

    /// Runs a body in a transaction; when it throws, nothing of it stays, in the fold neither.
    func transaction(_ begin: String = "BEGIN", _ body: () throws -> Void) throws {
        let before = fold
        try connection.execute(begin)
        do {
            try body()
            try connection.execute("COMMIT")
        } catch {
            fold = before
            if !connection.isBroken { try connection.execute("ROLLBACK") }
            throw error
        }
    }

    /// Removes the shadow.
    func drop() throws {
        try ProjectionSchema.drop(ProjectionSchema.next, connection)
    }
}

/// What the reader of a rebuild sends.
private enum FoldMessage: Sendable {
    case rows(table: String, CopyRows)
    case end(Result<ProjectionFold, any Error>)
}

/// The half of a rebuild that reads the log and folds.
private final class FoldReader: Sendable {
    let channel = BoundedChannel<FoldMessage>(countMax: 8)
    private let conninfo: String
    private let end: Int64
    private let progress: RebuildProgress

    private static let chunkBytes = 256 << 10

    init(conninfo: String, end: Int64, progress: @escaping RebuildProgress) {
        self.conninfo = conninfo
        self.end = end
        self.progress = progress
    }

    /// The other side has no more use for what is read.
    private struct Unwanted: Error {}

    func run() {
        _ = channel.send(.end(Result { try read() }))
    }

    private func read() throws -> ProjectionFold {
        let connection = try Connection(conninfo, applicationName: "ledger rebuild reader")
        defer { connection.close() }
        try LogScan.prepare(connection)
        var fold = ProjectionFold(isLoading: true)
        try fold.read(through: end, connection) { fold in
            guard fold.rowBytes >= Self.chunkBytes else { return }
            for (table, rows) in fold.takeRows() {
                guard channel.send(.rows(table: table, rows)) else { throw Unwanted() }
            }
            try progress(Int(fold.position), Int(end))
        }
        try progress(Int(end), Int(end))
        return fold
    }
}
