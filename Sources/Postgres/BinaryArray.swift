import CPostgres

/// A one-dimensional array parameter in PostgreSQL's binary array format.
///
/// It is built append by append, in one growing buffer and with no allocation per element:
///
///     int32 dimensions (1), int32 has nulls, int32 element type, int32 count, int32 lower bound
///     then per element: int32 length or -1 for NULL, and the value in network byte order
///
/// Appending a value that is not of the element's type is a programming error and stops.
package struct BinaryArray: Sendable {
    /// The type of every element.
    package enum Element: Sendable {
        case int32, int64, double, text, bytes, json, uuid, timestamp, bool

        var type: Oid {
            switch self {
            case .int32: TypeOID.int4
            case .int64: TypeOID.int8
            case .double: TypeOID.float8
            case .text: TypeOID.text
            case .bytes: TypeOID.bytea
            case .json: TypeOID.json
            case .uuid: TypeOID.uuid
            case .timestamp: TypeOID.timestamptz
            case .bool: TypeOID.bool
            }
        }

        var arrayType: Oid {
            switch self {
            case .int32: TypeOID.int4Array
            case .int64: TypeOID.int8Array
            case .double: TypeOID.float8Array
            case .text: TypeOID.textArray
            case .bytes: TypeOID.byteaArray
            case .json: TypeOID.jsonArray
            case .uuid: TypeOID.uuidArray
            case .timestamp: TypeOID.timestamptzArray
            case .bool: TypeOID.boolArray
            }
        }

        /// What `init(_:capacity:)` sets aside per element.
        fileprivate var sizeExpected: Int {
            switch self {
            case .bool: 5
            case .int32: 8
            case .int64, .double, .timestamp: 12
            case .uuid: 20
            case .text, .bytes, .json: 36
            }
        }
    }

    package let element: Element
    package private(set) var count = 0
    private(set) var buffer: BinaryBuffer

    private static let hasNullsOffset = 4
    private static let countOffset = 12

    /// An array of texts.
    package init(texts: [String]) {
        self.init(.text, capacity: texts.count)
        for text in texts { append(text: text) }
    }

    /// An array of 64-bit integers.
    package init(int64s: [Int64]) {
        self.init(.int64, capacity: int64s.count)
        for number in int64s { append(number) }
    }

    package init(_ element: Element, capacity: Int = 0) {
        self.element = element
        buffer = BinaryBuffer(capacity: 20 + capacity * element.sizeExpected)
        buffer.appendPrepared(Int32(1))
        buffer.appendPrepared(Int32(0))
        buffer.appendPrepared(Int32(bitPattern: element.type))
        buffer.appendPrepared(Int32(0))
        buffer.appendPrepared(Int32(1))
    }

    package mutating func append(_ value: Int64) {
        precondition(element == .int64)
        buffer.appendField(value)
        counted()
    }

    package mutating func append(_ value: Int32) {
        precondition(element == .int32)
        buffer.appendField(value)
        counted()
    }

    package mutating func append(_ value: Double) {
        precondition(element == .double)
        buffer.appendField(value.bitPattern)
        counted()
    }

    package mutating func append(_ value: Bool) {
        precondition(element == .bool)
        buffer.appendField(value ? UInt8(1) : UInt8(0))
        counted()
    }

    /// Appends text or JSON text.
    package mutating func append(text: String) {
        precondition(element == .text || element == .json)
        buffer.appendField(text: text)
        counted()
    }

    /// Appends the raw bytes of a text, bytea, JSON text or uuid.
    package mutating func append(bytes: [UInt8]) {
        bytes.withUnsafeBytes { append(bytes: $0) }
    }

    /// Appends the raw bytes of a text, bytea, JSON text or uuid.
    package mutating func append(bytes: UnsafeRawBufferPointer) {
        switch element {
        case .text, .bytes, .json: break
        case .uuid: precondition(bytes.count == 16)
        default: preconditionFailure("an array of \(element) takes no raw bytes")
        }
        buffer.appendField(bytes)
        counted()
    }

    /// Appends a time in microseconds since the Unix epoch.
    package mutating func append(timestamp: Int64) {
        precondition(element == .timestamp)
        buffer.appendField(TimestampFormat.fromUnix(timestamp))
        counted()
    }

    package mutating func appendNull() {
        buffer.appendNullField()
        buffer.patchPrepared(1, at: Self.hasNullsOffset)
        counted()
    }

    @inline(__always)
    private mutating func counted() {
        count += 1
        buffer.patchPrepared(Int32(truncatingIfNeeded: count), at: Self.countOffset)
    }
}
