import Postgres
import Schema

/// The database was made by a newer program.
package struct SchemaTooNewError: Error, Sendable, CustomStringConvertible {
    package let found: Int
    package let known: Int

    package var description: String {
        "The database is at schema version \(found) and this program knows \(known): it was made by "
            + "a newer ledger. Run that one, or a newer one."
    }
}

package enum Migrations {
    /// Applies what is missing, under a lock, all of it or none.
    ///
    /// - Returns: how many migrations were applied.
    @discardableResult
    package static func apply(_ connection: Connection) throws -> Int {
        try connection.execute("BEGIN; SELECT pg_advisory_xact_lock(\(AdvisoryLock.migrations))")
        do {
            try connection.execute(
                """
                CREATE TABLE IF NOT EXISTS public.ledger_migrations (
                    version    integer     PRIMARY KEY,
                    applied_at timestamptz NOT NULL DEFAULT now()
                )
                """)
            let rows = try connection.query(
                "SELECT coalesce(max(version), 0) FROM public.ledger_migrations")
            let found = Int(rows.int64(0, 0))
            guard found <= Schema.migrations.count else {
                throw SchemaTooNewError(found: found, known: Schema.migrations.count)
            }
            for (index, migration) in Schema.migrations.enumerated().dropFirst(found) {
                try connection.execute(migration)
                _ = try connection.query(
                    "INSERT INTO public.ledger_migrations (version) VALUES ($1)",
                    [.int32(Int32(index + 1))])
            }
            try connection.execute("COMMIT")
            return Schema.migrations.count - found
        } catch {
            if !connection.isBroken { try connection.execute("ROLLBACK") }
            throw error
        }
    }
}

/// Keys of the advisory locks that ledgers take in a database; "ledger" in ASCII, and a number.
package enum AdvisoryLock {
    package static let leader: Int64 = 0x6C65_6467_6572_0001
    package static let migrations: Int64 = 0x6C65_6467_6572_0002
    package static let projections: Int64 = 0x6C65_6467_6572_0003
}
