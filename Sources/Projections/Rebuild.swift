import EventLog
import Postgres
import Schema

/// What a rebuild did.
package struct RebuildReport: Sendable {
    /// The position up to which the new projections go; so many events were folded.
    package var position: Int64
    package var assignments: Int
    package var duration: Duration
}

/// The analytics views could not be swapped because someone read them all the time.
package struct ViewsBusyError: Error, CustomStringConvertible {
    package var description: String {
        "The projections are built but could not be put in place: a query on the analytics views "
            + "runs without an end in sight. End it (pg_stat_activity shows it) and rebuild again."
    }
}

/// There is no ledger in the database.
package struct NoLedgerError: Error, CustomStringConvertible {
    package var description: String {
        "There is no ledger in this database yet; `ledger serve` or `ledger import` makes one."
    }
}

/// Builds projections anew from the log, while the server runs.
package enum Rebuild {
    /// Events left before the swap that are folded while writers of projections wait.
    private static let remainderMax: Int64 = 2_000
    /// How long analysts' queries may be in the way of the swap before it lets them pass.
    private static let lockTimeout = "2s"
    private static let swapAttempts = 30

    /// Builds all projections from position 0 and swaps them for the live ones in one transaction.
    package static func run(
        conninfo: String, progress: @escaping RebuildProgress
    ) throws -> RebuildReport {
        let start = ContinuousClock.now
        let build = try ShadowBuild(conninfo: conninfo)
        try build.build(through: try head(build.connection), progress: progress)
        while case let end = try head(build.connection), end - build.fold.position > remainderMax {
            try build.transaction { try build.append(through: end) }
            try progress(Int(end), Int(end))
        }
        try swap(build)
        try dropOld(build.connection)
        let counted = try build.connection.query(
            "SELECT coalesce(sum(subjects), 0)::bigint FROM projection.assignment_counts")
        return RebuildReport(
            position: build.fold.position, assignments: Int(counted.int64(0, 0)),
            duration: ContinuousClock.now - start)
    }

    static func head(_ connection: Connection) throws -> Int64 {
        guard
            try connection.query("SELECT to_regclass('ledger.head') IS NOT NULL").bool(0, 0)
        else { throw NoLedgerError() }
        return try connection.query("SELECT position FROM ledger.head").int64(0, 0)
    }

    // MARK: Swapping

    private static func swap(_ build: ShadowBuild) throws {
        for _ in 0..<swapAttempts {
            do {
                return try build.transaction { try swapInTransaction(build) }
            } catch let error as PostgresError where error.sqlState == "55P03" {
                // Someone reads a view. Whoever waits behind us gets a turn.
                continue
            }
        }
        throw ViewsBusyError()
    }

    /// The live checkpoint is locked first, so no projector writes to what is replaced; when one
    /// that waited for the lock gets it the row is gone, and it starts over with the new one.
    private static func swapInTransaction(_ build: ShadowBuild) throws {
        let connection = build.connection
        try connection.execute("SET LOCAL lock_timeout = '\(lockTimeout)'")
        let live = try ProjectionSchema.checkpoint(
            of: ProjectionSchema.live, locking: true, connection)
        try build.append(through: try head(connection))
        var statements = ""
        if live != nil { statements += "DELETE FROM \(ProjectionSchema.live).checkpoint;" }
        if try ProjectionSchema.exists(ProjectionSchema.live, connection) {
            statements += "ALTER SCHEMA \(ProjectionSchema.live) RENAME TO \(ProjectionSchema.old);"
        }
        statements += "ALTER SCHEMA \(ProjectionSchema.next) RENAME TO \(ProjectionSchema.live);"
        try connection.execute(statements + Schema.analyticsViews)
    }

    /// Drops what was replaced. Where someone still reads it, the next rebuild will.
    private static func dropOld(_ connection: Connection) throws {
        try connection.execute("BEGIN; SET LOCAL lock_timeout = '10s'")
        do {
            try ProjectionSchema.drop(ProjectionSchema.old, connection)
            try connection.execute("COMMIT")
        } catch let error as PostgresError where error.sqlState == "55P03" {
            try connection.execute("ROLLBACK")
        }
    }
}
