import ArgumentParser
import Postgres

/// Which database a command works on: one that is named, or the embedded one.
struct DatabaseOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            A libpq connection string or URL, or LEDGER_DATABASE_URL; without either the embedded \
            PostgreSQL is used.
            """, valueName: "conninfo"))
    var database: String?

    @Option(
        help: ArgumentHelp(
            "Where the embedded PostgreSQL lives, or LEDGER_DATA_DIR; .ledger if there is neither.",
            valueName: "dir"))
    var dataDir: String?

    /// The connection string that was given; nil means the embedded PostgreSQL.
    var conninfo: String? { database ?? Environment.value(.databaseURL) }

    var dataDirectory: String { dataDir ?? Environment.value(.dataDirectory) ?? ".ledger" }

    func validate() throws {
        if database != nil, dataDir != nil {
            throw ValidationError("Give --database or --data-dir, not both.")
        }
    }

    /// Opens the database, starting the embedded one if need be; `report` is told what that does.
    func open(
        report: @escaping @Sendable (String) -> Void = { Terminal.writeError($0 + "\n") }
    ) throws -> Database {
        if let conninfo { return Database(conninfo: conninfo, embedded: nil) }
        do {
            let server = try EmbeddedServer.start(dataDirectory: dataDirectory, report: report)
            return Database(conninfo: server.conninfo, embedded: server)
        } catch {
            throw CommandFailure(message: "\(error)")
        }
    }

    /// Runs something on the database, and stops what was started for it.
    ///
    /// What goes wrong there comes out as a ``CommandFailure``.
    func withDatabase<T>(_ body: (String) async throws -> T) async throws -> T {
        let database = try open()
        defer { database.close() }
        do {
            return try await body(database.conninfo)
        } catch let failure as CommandFailure {
            throw failure
        } catch let error as PostgresError {
            throw failure(error)
        } catch {
            throw CommandFailure(message: "\(error)")
        }
    }

    private func failure(_ error: PostgresError) -> CommandFailure {
        var failure = CommandFailure(message: error.message)
        failure.details = [error.detail, error.hint, error.sqlState.map { "SQLSTATE \($0)" }]
            .compactMap(\.self)
        if error.kind == .connection {
            failure.details.append(
                conninfo == nil
                    ? "The embedded PostgreSQL writes to \(dataDirectory)/postgres.log."
                    : "Check --database or LEDGER_DATABASE_URL.")
        }
        return failure
    }
}

/// A database that is ready to be connected to.
struct Database {
    let conninfo: String
    let embedded: EmbeddedServer?

    /// Stops the embedded PostgreSQL if this process started it.
    func close() { embedded?.stop() }
}
