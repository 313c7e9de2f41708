import CPostgres

/// Lays parameters out as libpq wants them: pointers, lengths and formats side by side.
///
/// It belongs to a connection and is reused, so that binding allocates nothing once warm. Small
/// values are copied into one buffer; an array is passed where it is.
struct ParameterBinder {
    /// PostgreSQL counts parameters in 16 bits.
    static let countMax = 65_535
    /// PostgreSQL refuses messages of a gigabyte; the rest is room for their headers.
    static let bytesMax = 1_000_000_000

    private(set) var values: [UnsafePointer<CChar>?] = []
    private(set) var lengths: [Int32] = []
    private(set) var formats: [Int32] = []
    private var scratch = BinaryBuffer(capacity: 4096)

    /// Checks what PostgreSQL would end the connection for.
    static func check(_ parameters: [Parameter]) throws(PostgresError) {
        guard parameters.count <= countMax else {
            throw PostgresError(.usage, "a statement takes at most \(countMax) parameters")
        }
        var bytes = 0
        for parameter in parameters {
            bytes += parameter.size
            if case .uuid(let value) = parameter, value.count != 16 {
                throw PostgresError(.usage, "a uuid has 16 bytes, not \(value.count)")
            }
        }
        guard bytes <= bytesMax else {
            throw PostgresError(.usage, "a statement takes at most \(bytesMax) bytes")
        }
    }

    /// Fills the lists, valid while `parameters` lives and until the next call; returns their size.
    mutating func bind(_ parameters: [Parameter]) -> Int {
        values.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        formats.removeAll(keepingCapacity: true)
        scratch.removeAll()
        var copied = 0
        var lent = 0
        for parameter in parameters {
            if case .array(let array) = parameter {
                lent += array.buffer.count
            } else {
                copied += parameter.size
            }
        }
        // All at once: the pointers taken below must not move.
        scratch.prepare(copied + 1)
        for parameter in parameters { bind(parameter) }
        return copied + lent
    }

    private mutating func bind(_ parameter: Parameter) {
        let start = scratch.count
        formats.append(1)
        switch parameter {
        case .null:
            values.append(nil)
            lengths.append(0)
            return
        case .array(let array):
            values.append(UnsafeRawPointer(array.buffer.base).assumingMemoryBound(to: CChar.self))
            lengths.append(Int32(array.buffer.count))
            return
        case .bool(let value): scratch.appendPrepared(value ? UInt8(1) : UInt8(0))
        case .int32(let value): scratch.appendPrepared(value)
        case .int64(let value): scratch.appendPrepared(value)
        case .double(let value): scratch.appendPrepared(value.bitPattern)
        case .timestamp(let value): scratch.appendPrepared(TimestampFormat.fromUnix(value))
        case .text(var text):
            text.withUTF8 { scratch.appendPrepared(UnsafeRawBufferPointer($0)) }
        case .bytes(let bytes), .json(let bytes), .uuid(let bytes):
            bytes.withUnsafeBytes { scratch.appendPrepared($0) }
        }
        let pointer = UnsafeRawPointer(scratch.base + start)
        values.append(pointer.assumingMemoryBound(to: CChar.self))
        lengths.append(Int32(scratch.count - start))
    }
}
