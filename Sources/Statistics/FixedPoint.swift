/// A binary number of any length, exact: sums and products never round.
///
/// The value is Σ limbs[i] · 2^(32 · (lowest + i)), negative where `negative` says so. There is one
/// form for each value: neither end is a zero limb, and zero has no limbs.
struct FixedPoint: Sendable, Equatable {
    static let zero = FixedPoint(negative: false, lowest: 0, limbs: [])

    let negative: Bool
    let lowest: Int
    let limbs: [UInt32]

    /// Takes limbs as they come and brings them to the one form.
    init(negative: Bool, lowest: Int, limbs: some Collection<UInt32>) {
        let leading = limbs.prefix { $0 == 0 }.count
        var kept = Array(limbs.dropFirst(leading))
        while kept.last == 0 { kept.removeLast() }
        self.limbs = kept
        self.lowest = kept.isEmpty ? 0 : lowest + leading
        self.negative = negative && !kept.isEmpty
    }

    init(_ count: UInt64) {
        self.init(
            negative: false, lowest: 0,
            limbs: [UInt32(truncatingIfNeeded: count), UInt32(truncatingIfNeeded: count >> 32)])
    }

    /// Signed lanes that may overlap their neighbours: Σ lanes[i] · 2^(32 · (lowest + i)).
    init(lowest: Int, lanes: [Int64]) {
        var (limbs, carry) = Self.carried(lanes)
        let negative = carry < 0
        if negative { (limbs, carry) = Self.carried(lanes.map { -$0 }) }
        limbs.append(UInt32(carry))
        self.init(negative: negative, lowest: lowest, limbs: limbs)
    }

    private static func carried(_ lanes: [Int64]) -> (limbs: [UInt32], carry: Int64) {
        var limbs: [UInt32] = []
        limbs.reserveCapacity(lanes.count + 1)
        var carry: Int64 = 0
        for lane in lanes {
            let sum = lane + carry
            limbs.append(UInt32(truncatingIfNeeded: sum))
            carry = sum >> 32
        }
        return (limbs, carry)
    }

    static func * (left: FixedPoint, right: FixedPoint) -> FixedPoint {
        var product = [UInt32](repeating: 0, count: left.limbs.count + right.limbs.count)
        for (i, a) in left.limbs.enumerated() {
            var carry: UInt64 = 0
            for (j, b) in right.limbs.enumerated() {
                let sum = UInt64(a) * UInt64(b) + UInt64(product[i + j]) + carry
                product[i + j] = UInt32(truncatingIfNeeded: sum)
                carry = sum >> 32
            }
            product[i + right.limbs.count] = UInt32(carry)
        }
        return FixedPoint(
            negative: left.negative != right.negative, lowest: left.lowest + right.lowest,
            limbs: product)
    }

    static func - (left: FixedPoint, right: FixedPoint) -> FixedPoint {
        if right.limbs.isEmpty { return left }
        if left.limbs.isEmpty {
            return FixedPoint(
                negative: !right.negative, lowest: right.lowest, limbs: right.limbs)
        }
        let lowest = min(left.lowest, right.lowest)
        let end = max(left.lowest + left.limbs.count, right.lowest + right.limbs.count)
        var lanes = [Int64](repeating: 0, count: end - lowest)
        for (index, limb) in left.limbs.enumerated() {
            lanes[left.lowest - lowest + index] += left.negative ? -Int64(limb) : Int64(limb)
        }
        for (index, limb) in right.limbs.enumerated() {
            lanes[right.lowest - lowest + index] -= right.negative ? -Int64(limb) : Int64(limb)
        }
        return FixedPoint(lowest: lowest, lanes: lanes)
    }

    /// The quotient as a `Double`, within two roundings; infinite where a `Double` can't hold it.
    func divided(by divisor: Double) -> Double {
        guard let top = limbs.last else { return 0 }
        // The 64 highest bits; what lies below them is less than a rounding of a Double.
        var bits = UInt64(top) << 32
        var below: UInt32 = 0
        if limbs.count > 1 { bits |= UInt64(limbs[limbs.count - 2]) }
        if limbs.count > 2 { below = limbs[limbs.count - 3] }
        let shift = bits.leadingZeroBitCount
        if shift > 0 { bits = bits << UInt64(shift) | UInt64(below) >> UInt64(32 - shift) }
        let exponent = 32 * (lowest + limbs.count - 2) - shift
        return Double(
            sign: negative ? .minus : .plus, exponent: exponent, significand: Double(bits) / divisor
        )
    }
}
