/// What surrounds the rows of a binary COPY.
enum CopyFormat {
    /// `PGCOPY\n\xFF\r\n\0`
    static let signature: [UInt8] = [
        0x50, 0x47, 0x43, 0x4F, 0x50, 0x59, 0x0A, 0xFF, 0x0D, 0x0A, 0x00,
    ]
}

/// Writes the rows of a binary COPY: `beginRow`, then one value per column in order.
///
/// Values are buffered and handed over by `beginRow`, about 64 kB at a time.
package struct CopyWriter: ~Copyable {
    private static let flushThreshold = 65_536

    private let connection: Connection
    private var buffer = BinaryBuffer(capacity: flushThreshold + 16_384)

    init(_ connection: Connection) {
        self.connection = connection
        buffer.prepare(CopyFormat.signature.count + 8)
        CopyFormat.signature.withUnsafeBytes { buffer.appendPrepared($0) }
        buffer.appendPrepared(Int32(0))
        buffer.appendPrepared(Int32(0))
    }

    /// Starts a row of this many columns, and sends what has gathered before it.
    package mutating func beginRow(columns: Int) throws(PostgresError) {
        if buffer.count >= Self.flushThreshold {
            try connection.putCopyData(buffer)
            buffer.removeAll()
        }
        buffer.prepare(2)
        buffer.appendPrepared(Int16(columns))
    }

    /// Sends rows that were encoded before, behind all that was written so far.
    package mutating func append(_ rows: CopyRows) throws(PostgresError) {
        try connection.putCopyData(buffer)
        buffer.removeAll()
        try connection.putCopyData(rows.buffer)
    }

    mutating func finish() throws(PostgresError) {
        buffer.prepare(2)
        buffer.appendPrepared(Int16(-1))
        try connection.putCopyData(buffer)
    }

    package mutating func int64(_ value: Int64) { buffer.appendField(value) }

    package mutating func int32(_ value: Int32) { buffer.appendField(value) }

    package mutating func double(_ value: Double) { buffer.appendField(value.bitPattern) }

    package mutating func bool(_ value: Bool) { buffer.appendField(value ? UInt8(1) : UInt8(0)) }

    package mutating func text(_ value: String) { buffer.appendField(text: value) }

    /// Writes a bytea, or the UTF-8 of a text or json.
    package mutating func bytes(_ value: [UInt8]) {
        value.withUnsafeBytes { buffer.appendField($0) }
    }

    /// Writes a bytea, or the UTF-8 of a text or json.
    package mutating func bytes(_ value: UnsafeRawBufferPointer) { buffer.appendField(value) }

    package mutating func uuid(_ value: [UInt8]) { bytes(value) }

    /// Writes a time in microseconds since the Unix epoch.
    package mutating func timestamp(_ value: Int64) {
        buffer.appendField(TimestampFormat.fromUnix(value))
    }

    package mutating func null() { buffer.appendNullField() }
}
