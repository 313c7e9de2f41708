import CPostgres

/// An error of this module: what PostgreSQL answered, or that the link to it is gone.
package struct PostgresError: Error, Sendable, CustomStringConvertible {
    /// What a caller has to tell apart.
    package enum Kind: Sendable {
        /// Could not connect, or the link broke: the outcome of what was in flight is unknown.
        case connection
        /// PostgreSQL answered with an error; `sqlState` says which.
        case server
        /// The call itself was wrong; nothing was sent.
        case usage
        /// A pool's queue is full; nothing was sent.
        case busy
        /// The pool has been shut down; nothing was sent.
        case closed
    }

    package var kind: Kind
    package var sqlState: String?
    package var message: String
    package var detail: String?
    package var hint: String?
    package var constraint: String?
    /// The index of the statement that failed, in a pipeline.
    package var statementIndex: Int?

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// Reads the fields of an error result.
    init(result: OpaquePointer) {
        func field(_ code: Character) -> String? {
            guard let ascii = code.asciiValue,
                let text = PQresultErrorField(result, Int32(ascii))
            else { return nil }
            return String(cString: text)
        }
        // 'V' is the severity that is never translated. After FATAL the backend is gone.
        let severity = field("V")
        kind = severity == "FATAL" || severity == "PANIC" ? .connection : .server
        sqlState = field("C")
        message = field("M") ?? String(cString: PQresultErrorMessage(result))
        detail = field("D")
        hint = field("H")
        constraint = field("n")
        // Without a SQLSTATE libpq made the result itself, because the link broke.
        if sqlState == nil { kind = .connection }
    }

    package var description: String {
        var text = message
        if let sqlState { text += " (SQLSTATE \(sqlState))" }
        if let detail { text += "; \(detail)" }
        if let hint { text += "; hint: \(hint)" }
        if let statementIndex { text += "; statement \(statementIndex) of the pipeline" }
        return text
    }
}
