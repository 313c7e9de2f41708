import CPostgres
import Glibc

extension Connection {
    /// Runs a `COPY … FROM STDIN (FORMAT binary)` with the rows that the body writes.
    ///
    /// Returns how many rows PostgreSQL took. If the body throws, the COPY is called off, nothing
    /// of it stays, and its error goes on.
    package func copyIn<Failure: Error>(
        _ sql: String, _ body: (inout CopyWriter) throws(Failure) -> Void
    ) throws -> Int {
        let handle = try begin(sql, PGRES_COPY_IN)
        var writer = CopyWriter(self)
        do {
            try body(&writer)
            try writer.finish()
        } catch {
            if !isBroken { try endCopy(handle, reason: "called off by the client") }
            if !isBroken { _ = try drain(handle) }
            throw error
        }
        try endCopy(handle, reason: nil)
        return try copied(handle)
    }

    /// Runs several statements in one message; each `COPY … FROM STDIN (FORMAT binary)` among them
    /// is fed with the next of `copies`.
    ///
    /// A whole transaction so takes two round trips, however many statements it has. After a server
    /// error the statements behind it were not run, and a transaction that was begun is aborted:
    /// the caller rolls it back.
    package func execute(_ sql: String, copying copies: [CopyRows]) throws(PostgresError) {
        let handle = try live()
        guard PQsendQuery(handle, sql) == 1 else { throw refusal() }
        var copies = copies[...]
        var first: PostgresError?
        while let result = try nextResult(handle) {
            switch PQresultStatus(result) {
            case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE:
                let error = failure(result)
                first = first ?? error
            case PGRES_COPY_IN:
                PQclear(result)
                guard let rows = copies.popFirst() else {
                    try endCopy(handle, reason: "there are no rows for it")
                    continue
                }
                var writer = CopyWriter(self)
                try writer.append(rows)
                try writer.finish()
                try endCopy(handle, reason: nil)
            default: PQclear(result)
            }
        }
        if let first { throw first }
        if isBroken { throw broke() }
    }

    /// Runs a `COPY … TO STDOUT` and lends each row's raw message; the binary header is taken off.
    ///
    /// If `row` throws, the COPY is cancelled and the error goes on.
    package func copyOut(
        _ sql: String, _ row: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let handle = try begin(sql, PGRES_COPY_OUT)
        do {
            try eachMessage(handle, row)
        } catch let error where !isBroken {
            cancel(handle)
            try eachMessage(handle) { _ in }
            _ = try drain(handle)
            throw error
        }
        if let error = try drain(handle) { throw error }
    }

    /// Hands bytes to the server, and waits while its buffers are full.
    func putCopyData(_ buffer: BinaryBuffer) throws(PostgresError) {
        let handle = try live()
        let bytes = UnsafeRawPointer(buffer.base).assumingMemoryBound(to: CChar.self)
        while true {
            let sent = PQputCopyData(handle, bytes, Int32(buffer.count))
            if sent < 0 { throw broke() }
            try flush(handle)
            if sent == 1 { return }
        }
    }
}

extension Connection {
    /// Sends the statement, and reads up to the server's word that the COPY has begun.
    private func begin(
        _ sql: String, _ direction: ExecStatusType
    ) throws(PostgresError) -> OpaquePointer {
        let handle = try live()
        guard PQsendQuery(handle, sql) == 1 else { throw refusal() }
        guard let result = try nextResult(handle) else { throw broke() }
        let status = PQresultStatus(result)
        if status == direction {
            PQclear(result)
            return handle
        }
        if status == PGRES_FATAL_ERROR {
            let error = failure(result)
            if error.kind != .connection { _ = try drain(handle) }
            throw error
        }
        PQclear(result)
        _ = try drain(handle)
        throw PostgresError(.usage, "not a COPY in this direction: \(sql)")
    }

    private func endCopy(_ handle: OpaquePointer, reason: String?) throws(PostgresError) {
        while true {
            let sent = PQputCopyEnd(handle, reason)
            if sent < 0 { throw broke() }
            try flush(handle)
            if sent == 1 { return }
        }
    }

    private func copied(_ handle: OpaquePointer) throws(PostgresError) -> Int {
        guard let result = try nextResult(handle) else { throw broke() }
        guard PQresultStatus(result) == PGRES_COMMAND_OK else {
            let error = failure(result)
            if error.kind != .connection { _ = try drain(handle) }
            throw error
        }
        let rows = Rows(owning: result).affected
        if let error = try drain(handle) { throw error }
        return rows
    }

    private func eachMessage(
        _ handle: OpaquePointer, _ row: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var header = CopyHeader()
        while true {
            var message: UnsafeMutablePointer<CChar>?
            let length = PQgetCopyData(handle, &message, 1)
            defer { PQfreemem(message) }
            switch length {
            case -1: return
            case ..<0: throw broke()
            case 0:
                _ = wait(for: Int16(POLLIN), until: nil)
                guard PQconsumeInput(handle) == 1 else { throw broke() }
            default:
                let bytes = UnsafeRawBufferPointer(start: message, count: Int(length))
                let rest = header.strip(bytes)
                if !rest.isEmpty { try row(rest) }
            }
        }
    }

    /// Asks the server to stop; when that fails the rows are read to their end instead.
    private func cancel(_ handle: OpaquePointer) {
        guard let cancel = PQgetCancel(handle) else { return }
        defer { PQfreeCancel(cancel) }
        var reason = [CChar](repeating: 0, count: 256)
        _ = PQcancel(cancel, &reason, 256)
    }
}

/// Takes the signature off the first message of a binary COPY, and the trailer off its end.
private struct CopyHeader {
    private var isFirst = true
    private var isBinary = false

    mutating func strip(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var rest = bytes
        if isFirst {
            isFirst = false
            isBinary = bytes.starts(with: CopyFormat.signature) && bytes.count >= 19
            if isBinary {
                let extensionLength = bytes.loadUnaligned(fromByteOffset: 15, as: Int32.self)
                let header = 19 + Int(Int32(bigEndian: extensionLength))
                rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(header))
            }
        }
        if isBinary, rest.count == 2, rest[0] == 0xFF, rest[1] == 0xFF {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return rest
    }
}
