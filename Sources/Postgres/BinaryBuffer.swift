/// Bytes that are only ever appended, at an address that stays put until they grow.
///
/// `[UInt8]` costs several times more per four-byte append, and the hot path makes millions of
/// them a second. A copy of the buffer shares the storage until one of the two is changed.
struct BinaryBuffer: Sendable {
    /// Mutated only through `prepare`, which makes sure that nobody else can see the storage.
    private final class Storage: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        let capacity: Int

        init(capacity: Int) {
            self.capacity = capacity
            base = .allocate(byteCount: capacity, alignment: 16)
        }

        deinit { base.deallocate() }
    }

    private var storage: Storage
    private(set) var count = 0

    init(capacity: Int) {
        storage = Storage(capacity: max(capacity, 32))
    }

    /// The address of the first byte, valid while the buffer lives and is not changed.
    var base: UnsafeMutableRawPointer { storage.base }

    /// Makes room for `extra` more bytes in storage that nobody shares.
    @inline(__always)
    mutating func prepare(_ extra: Int) {
        if isKnownUniquelyReferenced(&storage), count + extra <= storage.capacity { return }
        relocate(extra)
    }

    @inline(never)
    private mutating func relocate(_ extra: Int) {
        let needed = count + extra
        let grown =
            needed <= storage.capacity ? storage.capacity : max(needed, storage.capacity * 2)
        let larger = Storage(capacity: grown)
        larger.base.copyMemory(from: storage.base, byteCount: count)
        storage = larger
    }

    mutating func removeAll() {
        count = 0
    }

    /// Appends in network byte order; the caller has called `prepare`.
    @inline(__always)
    mutating func appendPrepared<Value: FixedWidthInteger>(_ value: Value) {
        storage.base.storeBytes(of: value.bigEndian, toByteOffset: count, as: Value.self)
        count += MemoryLayout<Value>.size
    }

    /// Appends bytes; the caller has called `prepare`.
    @inline(__always)
    mutating func appendPrepared(_ bytes: UnsafeRawBufferPointer) {
        if let source = bytes.baseAddress {
            (storage.base + count).copyMemory(from: source, byteCount: bytes.count)
        }
        count += bytes.count
    }

    /// Overwrites an integer that was appended before; the caller has called `prepare`.
    @inline(__always)
    mutating func patchPrepared(_ value: Int32, at offset: Int) {
        storage.base.storeBytes(of: value.bigEndian, toByteOffset: offset, as: Int32.self)
    }

    /// Appends a value in network byte order behind its length, as PostgreSQL's binary fields are.
    @inline(__always)
    mutating func appendField<Value: FixedWidthInteger>(_ value: Value) {
        prepare(4 + MemoryLayout<Value>.size)
        appendPrepared(Int32(MemoryLayout<Value>.size))
        appendPrepared(value)
    }

    /// Appends bytes behind their length.
    @inline(__always)
    mutating func appendField(_ bytes: UnsafeRawBufferPointer) {
        prepare(4 + bytes.count)
        appendPrepared(Int32(truncatingIfNeeded: bytes.count))
        appendPrepared(bytes)
    }

    mutating func appendField(text: String) {
        var text = text
        text.withUTF8 { appendField(UnsafeRawBufferPointer($0)) }
    }

    mutating func appendNullField() {
        prepare(4)
        appendPrepared(Int32(-1))
    }
}

/// The two clocks: PostgreSQL counts microseconds from 2000-01-01, everyone else from 1970-01-01.
enum TimestampFormat {
    private static let epochOffset: Int64 = 946_684_800_000_000

    /// Saturates, so that `infinity` stays infinite.
    static func fromUnix(_ microseconds: Int64) -> Int64 {
        if microseconds == .max { return .max }
        let (value, overflow) = microseconds.subtractingReportingOverflow(epochOffset)
        return overflow ? .min : value
    }

    static func toUnix(_ microseconds: Int64) -> Int64 {
        if microseconds == .min { return .min }
        let (value, overflow) = microseconds.addingReportingOverflow(epochOffset)
        return overflow ? .max : value
    }
}
