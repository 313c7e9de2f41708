/// The format's version in one byte; the number of buckets; then for each bucket the distance of its
/// key from the one before and its count. Sketches of the same numbers have the same bytes.
extension QuantileSketch {
    private static let version: UInt8 = 1

    package var encoded: [UInt8] {
        var bytes = [Self.version]
        bytes.append(varint: UInt64(keys.count))
        var last = 0
        for (key, count) in zip(keys, counts) {
            bytes.append(zigzag: Int(key) - last)
            bytes.append(varint: UInt64(count))
            last = Int(key)
        }
        return bytes
    }

    /// Reads what `encoded` wrote; nil for anything else.
    package init?(encoded: [UInt8]) {
        var reader = ByteReader(encoded)
        guard reader.byte() == Self.version, let buckets = reader.varint(),
            buckets <= Self.bucketsMax
        else { return nil }
        var total = 0
        var keys: [Int32] = []
        var counts: [Int] = []
        for index in 0..<Int(buckets) {
            guard let step = reader.zigzag(), abs(step) <= Self.bucketsMax,
                index == 0 || step > 0, let count = reader.varint(), count > 0,
                count <= UInt64(Int.max - total)
            else { return nil }
            let key = Int(keys.last ?? 0) + step
            guard abs(key) <= Int(Self.keyMax) else { return nil }
            keys.append(Int32(key))
            counts.append(Int(count))
            total += Int(count)
        }
        guard reader.isAtEnd else { return nil }
        self.init(count: total, keys: keys, counts: counts)
    }
}
