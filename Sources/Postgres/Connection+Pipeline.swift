import CPostgres

/// One thing the server was asked to do in a pipeline, and will answer in turn.
struct PipelineStep {
    let statement: Int
    /// Set when the step parses the statement rather than runs it.
    let parses: PreparedStatement?
}

extension Connection {
    /// Runs one statement and returns its rows.
    ///
    /// The statement is prepared and kept under its SQL text and the types of its parameters, in
    /// the same round trip as its first execution.
    package func query(
        _ sql: String, _ parameters: [Parameter] = []
    ) throws(PostgresError) -> Rows {
        do {
            return try pipeline([Statement(sql, parameters)])[0]
        } catch {
            var error = error
            error.statementIndex = nil
            throw error
        }
    }

    /// Runs all statements in one round trip and, unless they begin one, in one transaction.
    ///
    /// At the first error PostgreSQL skips the rest; the error names the statement, and the
    /// connection stays usable.
    package func pipeline(_ statements: [Statement]) throws(PostgresError) -> [Rows] {
        if statements.isEmpty { return [] }
        for (index, statement) in statements.enumerated() {
            do {
                try ParameterBinder.check(statement.parameters)
            } catch {
                var error = error
                error.statementIndex = index
                throw error
            }
        }
        if prepared.count >= PreparedStatements.countMax { try forgetPrepared() }
        let handle = try live()
        guard PQenterPipelineMode(handle) == 1 else { throw refusal() }
        steps.removeAll(keepingCapacity: true)
        var unsent = 0
        for index in statements.indices {
            unsent += try send(statements[index], index, handle)
            if unsent >= Self.unsentBytesMax {
                try flush(handle)
                unsent = 0
            }
        }
        guard PQpipelineSync(handle) == 1 else { throw broke() }
        return try receive(statements, handle)
    }

    /// libpq moves all it has not sent with every part it sends: a long queue costs its square.
    private static let unsentBytesMax = 1 << 20

    private func forgetPrepared() throws(PostgresError) {
        try execute("DEALLOCATE ALL")
        prepared.removeAll()
    }
}

// MARK: Sending

extension Connection {
    /// Queues a statement, behind its Parse if it is new; returns about how many bytes.
    private func send(
        _ statement: Statement, _ index: Int, _ handle: OpaquePointer
    ) throws(PostgresError) -> Int {
        let target: PreparedStatement
        if let known = prepared.find(statement.sql, statement.parameters) {
            target = known
        } else {
            target = prepared.add(statement.sql, statement.parameters)
            steps.append(PipelineStep(statement: index, parses: target))
            let sent = PQsendPrepare(
                handle, target.name, statement.sql, Int32(target.types.count), target.types)
            guard sent == 1 else { throw broke() }
        }
        steps.append(PipelineStep(statement: index, parses: nil))
        let bytes = binder.bind(statement.parameters)
        let sent = withExtendedLifetime(statement) {
            PQsendQueryPrepared(
                handle, target.name, Int32(statement.parameters.count), binder.values,
                binder.lengths, binder.formats, 1)
        }
        guard sent == 1 else { throw broke() }
        return bytes
    }
}

// MARK: Receiving

extension Connection {
    private func receive(
        _ statements: [Statement], _ handle: OpaquePointer
    ) throws(PostgresError) -> [Rows] {
        var rows: [Rows] = []
        rows.reserveCapacity(statements.count)
        var failed: PostgresError?
        for step in steps {
            guard let result = try nextResult(handle) else { throw failed ?? broke() }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
                if step.parses == nil { rows.append(Rows(owning: result)) } else { PQclear(result) }
            case PGRES_PIPELINE_ABORTED:
                PQclear(result)
                forget(step, statements)
            case PGRES_FATAL_ERROR:
                var error = failure(result)
                error.statementIndex = step.statement
                if error.kind == .connection { throw error }
                forget(step, statements)
                forgetIfStale(error, statements[step.statement])
                failed = error
            default:
                // COPY has no place in a pipeline: libpq cannot leave it.
                PQclear(result)
                throw broke()
            }
            // libpq ends the results of every step with a NULL.
            guard try endOfResults(handle) else { throw broke() }
        }
        failed = try endOfPipeline(handle) ?? failed
        guard PQexitPipelineMode(handle) == 1 else { throw broke() }
        if let failed { throw failed }
        return rows
    }

    private func endOfResults(_ handle: OpaquePointer) throws(PostgresError) -> Bool {
        guard let result = try nextResult(handle) else { return true }
        PQclear(result)
        return false
    }

    /// Reads the answer to the Sync, and the error of a commit that failed: a deferred constraint.
    private func endOfPipeline(_ handle: OpaquePointer) throws(PostgresError) -> PostgresError? {
        var failed: PostgresError?
        while true {
            guard let result = try nextResult(handle) else {
                if isBroken || failed == nil { throw failed ?? broke() }
                continue
            }
            switch PQresultStatus(result) {
            case PGRES_PIPELINE_SYNC:
                PQclear(result)
                return failed
            case PGRES_FATAL_ERROR where failed == nil:
                let error = failure(result)
                if error.kind == .connection { throw error }
                failed = error
            default:
                PQclear(result)
                throw failed ?? broke()
            }
        }
    }

    /// A Parse that failed or was skipped left nothing behind on the server.
    private func forget(_ step: PipelineStep, _ statements: [Statement]) {
        guard let parsed = step.parses else { return }
        prepared.remove(parsed, of: statements[step.statement].sql)
    }

    /// A changed table can make a prepared statement unusable; the next call prepares it anew.
    private func forgetIfStale(_ error: PostgresError, _ statement: Statement) {
        guard error.sqlState == "0A000" || error.sqlState == "26000",
            let stale = prepared.find(statement.sql, statement.parameters)
        else { return }
        prepared.remove(stale, of: statement.sql)
    }
}
