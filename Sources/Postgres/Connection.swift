import CPostgres
import Glibc

/// One libpq connection: a blocking interface over a non-blocking socket and `poll`.
///
/// It is not `Sendable` and never leaves the thread that opened it. After an error of kind
/// `.connection` it is broken for good: nobody knows what the server did with what was in flight,
/// so the owner opens another and finds out.
package final class Connection {
    private var handle: OpaquePointer?
    private var broken = false
    private let warnings = WarningCount()
    var prepared = PreparedStatements()
    var binder = ParameterBinder()
    /// Reused by `pipeline`: what is in flight, in order.
    var steps: [PipelineStep] = []

    /// Connects, trying for at most `timeout`.
    ///
    /// Of several hosts the one that took the last connection is tried first; the others follow in
    /// their order, each with a share of the time.
    package init(
        _ conninfo: String, applicationName: String, timeout: Duration = .seconds(10)
    ) throws(PostgresError) {
        let deadline = ContinuousClock.now + timeout
        let list = HostList(conninfo)
        let order = LastHost.order(conninfo, count: list.hosts.count)
        var refusals: [(host: String, error: PostgresError)] = []
        for (tried, index) in order.enumerated() {
            let host = list.hosts[index]
            do throws(PostgresError) {
                handle = try Self.start(
                    host.settings, isUnparsed: list.isUnparsed, applicationName: applicationName)
                try finishConnecting(
                    until: list.deadline(left: order.count - tried, of: deadline))
                if order.count > 1 { LastHost.remember(index, for: conninfo) }
                return
            } catch {
                close()
                broken = false
                refusals.append((host.name, error))
            }
        }
        throw Self.summary(refusals)
    }

    deinit { close() }

    package var backendPID: Int32 { handle.map { PQbackendPID($0) } ?? 0 }

    /// Whether the link is gone, or was never told apart from gone.
    package var isBroken: Bool {
        guard let handle else { return true }
        return broken || PQstatus(handle) == CONNECTION_BAD
    }

    /// Warnings that PostgreSQL has sent over this connection.
    package var warningCount: Int { warnings.value }

    /// Whether a transaction was begun and not ended.
    package var isInTransaction: Bool {
        guard let handle else { return false }
        return PQtransactionStatus(handle) != PQTRANS_IDLE
    }

    package func close() {
        if let handle { PQfinish(handle) }
        handle = nil
    }
}

// MARK: Connecting

extension Connection {
    /// What a connection string may override, and what it may not.
    private static func start(
        _ target: [HostList.Setting], isUnparsed: Bool, applicationName: String
    ) throws(PostgresError) -> OpaquePointer {
        // A dead peer is noticed in ten seconds instead of the kernel's quarter of an hour.
        let settings =
            [
                ("keepalives_idle", "5"), ("keepalives_interval", "2"), ("keepalives_count", "3"),
                ("tcp_user_timeout", "10000"),
            ] + target + [("application_name", applicationName), ("client_encoding", "UTF8")]
        let keywords = settings.map { strdup($0.keyword) }
        let values = settings.map { strdup($0.value) }
        defer { for text in keywords + values { free(text) } }
        let handle = PQconnectStartParams(
            keywords.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil],
            isUnparsed ? 1 : 0)
        guard let handle else { throw PostgresError(.connection, "out of memory") }
        return handle
    }

    /// What became of each host; the error itself where there is only one.
    private static func summary(
        _ refusals: [(host: String, error: PostgresError)]
    ) -> PostgresError {
        guard refusals.count > 1 else {
            return refusals.first?.error ?? PostgresError(.connection, "no host is named")
        }
        let words = refusals.map { refusal in
            // The rest is a hint for beginners, and the host's name comes first anyway.
            let line = refusal.error.message.prefix { !$0.isNewline }
            let isNamed = line.hasPrefix("connection to server ")
            let said = isNamed ? line.firstRange(of: " failed: ")?.upperBound : nil
            return "\(refusal.host): \(line[(said ?? line.startIndex)...])"
        }
        return PostgresError(
            .connection,
            "none of \(refusals.count) hosts can be used: " + words.joined(separator: "; "))
    }

    private func finishConnecting(until deadline: ContinuousClock.Instant) throws(PostgresError) {
        let handle = try live()
        var state = PGRES_POLLING_WRITING
        while state != PGRES_POLLING_OK {
            guard PQstatus(handle) != CONNECTION_BAD, state != PGRES_POLLING_FAILED else {
                throw broke()
            }
            let events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT
            guard wait(for: Int16(events), until: deadline) else {
                throw PostgresError(.connection, "PostgreSQL did not answer in time")
            }
            state = PQconnectPoll(handle)
        }
        guard PQsetnonblocking(handle, 1) == 0 else { throw broke() }
        // libpq would print notices to the standard error stream. The context lives as long as the
        // connection.
        PQsetNoticeReceiver(
            handle,
            { context, notice in
                guard let context, let severity = PQresultErrorField(notice, severityField),
                    String(cString: severity) == "WARNING"
                else { return }
                Unmanaged<WarningCount>.fromOpaque(context).takeUnretainedValue().value += 1
            }, Unmanaged.passUnretained(warnings).toOpaque())
    }
}

// MARK: Waiting

extension Connection {
    /// The libpq connection, or an error if it was closed or broke before.
    func live() throws(PostgresError) -> OpaquePointer {
        guard let handle else { throw PostgresError(.connection, "the connection is closed") }
        guard !broken else { throw PostgresError(.connection, "the connection is broken") }
        return handle
    }

    /// Marks the connection as broken and says why, in libpq's words.
    func broke() -> PostgresError {
        broken = true
        var words = handle.map { String(cString: PQerrorMessage($0)) } ?? ""
        while words.last?.isNewline == true { words.removeLast() }
        return PostgresError(.connection, words.isEmpty ? "the connection broke" : words)
    }

    /// Turns an error result into an error, and frees it.
    func failure(_ result: OpaquePointer) -> PostgresError {
        defer { PQclear(result) }
        let error = PostgresError(result: result)
        if error.kind == .connection { broken = true }
        return error
    }

    /// Why libpq refused to send: the link broke, or the call came at the wrong moment.
    func refusal() -> PostgresError {
        guard let handle, PQstatus(handle) == CONNECTION_OK,
            PQtransactionStatus(handle) == PQTRANS_ACTIVE
        else { return broke() }
        return PostgresError(.usage, "the connection is busy with another statement")
    }

    /// Waits for the socket, and optionally for a signal; false when the deadline passes first.
    func wait(
        for events: Int16, until deadline: ContinuousClock.Instant?, or signal: Signal? = nil
    ) -> Bool {
        guard let handle else { return true }
        var descriptors = [
            pollfd(fd: PQsocket(handle), events: events, revents: 0),
            pollfd(fd: signal?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        return Poll.wait(&descriptors, until: deadline)
    }

    /// The next result, or nil at the end of a statement's results.
    ///
    /// Reads while it writes: were either side to insist on writing first, both could stand with
    /// full buffers for ever.
    func nextResult(_ handle: OpaquePointer) throws(PostgresError) -> OpaquePointer? {
        while true {
            let flushed = PQflush(handle)
            if PQisBusy(handle) == 0 { return PQgetResult(handle) }
            // A failed write is no reason to stop: the server's last words are still to be read.
            let events = flushed == 1 ? POLLIN | POLLOUT : POLLIN
            _ = wait(for: Int16(events), until: nil)
            // The words that came with the end are in the result that follows.
            if PQconsumeInput(handle) == 0, PQisBusy(handle) != 0 { throw broke() }
        }
    }

    /// Writes all that is queued, and reads meanwhile, for the same reason.
    func flush(_ handle: OpaquePointer) throws(PostgresError) {
        while true {
            let flushed = PQflush(handle)
            if flushed == 0 { return }
            guard flushed == 1 else { throw broke() }
            _ = wait(for: Int16(POLLIN | POLLOUT), until: nil)
            guard PQconsumeInput(handle) == 1 else { throw broke() }
        }
    }

    /// Reads and drops results until the statement is over; the first error is returned.
    func drain(_ handle: OpaquePointer) throws(PostgresError) -> PostgresError? {
        var first: PostgresError?
        while let result = try nextResult(handle) {
            switch PQresultStatus(result) {
            case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE:
                let error = failure(result)
                if first == nil { first = error }
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                // There is no way to get past a COPY without its data.
                PQclear(result)
                broken = true
                throw PostgresError(.usage, "COPY goes through copyIn and copyOut")
            default: PQclear(result)
            }
        }
        if first == nil, isBroken { return broke() }
        return first
    }
}

// MARK: Plain statements and notifications

extension Connection {
    /// Runs one or more statements by the simple protocol and drops their rows.
    package func execute(_ sql: String) throws(PostgresError) {
        let handle = try live()
        guard PQsendQuery(handle, sql) == 1 else { throw refusal() }
        if let error = try drain(handle) { throw error }
    }

    /// Waits for a NOTIFY, up to `timeout` or until `signal` is woken, and returns the payloads.
    ///
    /// The signal stays raised: its owner drains it.
    package func notifications(
        waiting timeout: Duration, or signal: Signal? = nil
    ) throws(PostgresError) -> [String] {
        let handle = try live()
        let deadline = ContinuousClock.now + timeout
        var payloads: [String] = []
        while true {
            guard PQconsumeInput(handle) == 1 else { throw broke() }
            while let notification = PQnotifies(handle) {
                payloads.append(String(cString: notification.pointee.extra))
                PQfreemem(notification)
            }
            if !payloads.isEmpty { return payloads }
            guard wait(for: Int16(POLLIN), until: deadline, or: signal) else { return [] }
            if let signal, signal.isRaised { return [] }
        }
    }
}

/// PG_DIAG_SEVERITY_NONLOCALIZED, a macro that is not imported.
private let severityField = Int32(UInt8(ascii: "V"))

/// How many warnings have come; touched by the connection's thread alone.
private final class WarningCount {
    var value = 0
}
