/// Rows of a binary COPY that are encoded ahead, on whatever thread, to be handed to a
/// ``CopyWriter`` as they are.
package struct CopyRows: Sendable {
    fileprivate(set) var buffer: BinaryBuffer
    /// Rows begun.
    package private(set) var count = 0

    package init(capacity: Int = 0) { buffer = BinaryBuffer(capacity: capacity) }

    package var byteCount: Int { buffer.count }

    /// Starts a row; as many values follow.
    package mutating func beginRow(columns: Int) {
        buffer.prepare(2)
        buffer.appendPrepared(Int16(columns))
        count += 1
    }

    package mutating func int64(_ value: Int64) { buffer.appendField(value) }

    package mutating func int32(_ value: Int32) { buffer.appendField(value) }

    package mutating func int16(_ value: Int16) { buffer.appendField(value) }

    package mutating func double(_ value: Double) {
        buffer.appendField(Int64(bitPattern: value.bitPattern))
    }

    package mutating func bool(_ value: Bool) { buffer.appendField(Int8(value ? 1 : 0)) }

    package mutating func null() { buffer.appendNullField() }

    /// Writes a time in microseconds since the Unix epoch.
    package mutating func timestamp(_ value: Int64) {
        buffer.appendField(TimestampFormat.fromUnix(value))
    }

    /// Writes a uuid's 16 bytes, a bytea, or the UTF-8 of a text or json.
    package mutating func bytes(_ value: UnsafeRawBufferPointer) { buffer.appendField(value) }

    /// Writes a uuid's 16 bytes, a bytea, or the UTF-8 of a text or json.
    package mutating func bytes(_ value: [UInt8]) {
        value.withUnsafeBytes { buffer.appendField($0) }
    }

    package mutating func text(_ value: String) { buffer.appendField(text: value) }

    /// Writes a text, or NULL where there is none.
    package mutating func text(orNull value: String?) {
        if let value { buffer.appendField(text: value) } else { buffer.appendNullField() }
    }
}

/// The values of one row of a binary `COPY … TO STDOUT`, read in order.
///
/// What it lends is valid as long as the message it reads. A row that ends early, or a value of
/// another width than asked for, is a programming error and stops.
package struct CopyFields {
    private let message: UnsafeRawBufferPointer
    private var offset = 2

    package init(_ message: UnsafeRawBufferPointer) { self.message = message }

    /// The next value's bytes; nil for NULL.
    @inline(__always)
    package mutating func next() -> UnsafeRawBufferPointer? {
        let length = Int(load(Int32.self))
        if length < 0 { return nil }
        precondition(offset + length <= message.count, "the row ends early")
        defer { offset += length }
        return UnsafeRawBufferPointer(rebasing: message[offset..<offset + length])
    }

    /// The next value's bytes; NULL is refused.
    package mutating func bytes() -> UnsafeRawBufferPointer {
        guard let bytes = next() else { preconditionFailure("the value is NULL") }
        return bytes
    }

    package mutating func int64() -> Int64 {
        precondition(load(Int32.self) == 8, "the value is no int8")
        return load(Int64.self)
    }

    package mutating func int32() -> Int32 {
        precondition(load(Int32.self) == 4, "the value is no int4")
        return load(Int32.self)
    }

    package mutating func int16() -> Int16 {
        precondition(load(Int32.self) == 2, "the value is no int2")
        return load(Int16.self)
    }

    package mutating func double() -> Double { Double(bitPattern: UInt64(bitPattern: int64())) }

    /// A `timestamptz` in microseconds since the Unix epoch.
    package mutating func timestamp() -> Int64 { TimestampFormat.toUnix(int64()) }

    package mutating func text() -> String { String(decoding: bytes(), as: UTF8.self) }

    @inline(__always)
    private mutating func load<Value: FixedWidthInteger>(_ type: Value.Type) -> Value {
        precondition(offset + MemoryLayout<Value>.size <= message.count, "the row ends early")
        defer { offset += MemoryLayout<Value>.size }
        return Value(bigEndian: message.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
