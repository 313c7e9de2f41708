/// Subjects counted by experiment, cohort, variant and day (UTC): a hash table whose keys are
/// bytes, so that counting one more costs no allocation.
///
/// Open addressing with linear probing; never more than half full.
struct ArmCounts: Sendable {
    struct Arm: Sendable {
        /// The experiment's ID and the variant's, one behind the other.
        fileprivate let names: [UInt8]
        fileprivate let experimentLength: Int
        let cohort: Int32
        /// Since 1970-01-01.
        let day: Int32
        fileprivate(set) var subjects: Int64
        fileprivate let hash: UInt64

        var experiment: ArraySlice<UInt8> { names[..<experimentLength] }
        var variant: ArraySlice<UInt8> { names[experimentLength...] }
    }

    private(set) var arms: [Arm] = []
    /// An arm's index, or -1.
    private var slots = [Int32](repeating: -1, count: 64)

    private static let dayMicroseconds: Int64 = 86_400_000_000

    var isEmpty: Bool { arms.isEmpty }

    mutating func count(_ fields: AssignmentFields, at recordedAt: Int64) {
        let day = Self.day(recordedAt)
        let hash = Self.hash(fields, day)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] >= 0 {
            let index = Int(slots[slot])
            if arms[index].hash == hash, arms[index].matches(fields, day) {
                arms[index].subjects += 1
                return
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = Int32(arms.count)
        arms.append(
            Arm(
                names: Array(fields.experiment) + Array(fields.variant),
                experimentLength: fields.experiment.count, cohort: fields.cohort, day: day,
                subjects: 1, hash: hash))
        if arms.count * 2 > slots.count { grow() }
    }

    private mutating func grow() {
        slots = [Int32](repeating: -1, count: slots.count * 2)
        for (index, arm) in arms.enumerated() {
            var slot = Int(truncatingIfNeeded: arm.hash) & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(index)
        }
    }

    static func day(_ microseconds: Int64) -> Int32 {
        let (day, rest) = microseconds.quotientAndRemainder(dividingBy: dayMicroseconds)
        return Int32(truncatingIfNeeded: rest < 0 ? day - 1 : day)
    }

    /// FNV-1a.
    private static func hash(_ fields: AssignmentFields, _ day: Int32) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ value: UInt64) { hash = (hash ^ value) &* 0x0000_0100_0000_01B3 }
        for byte in fields.experiment { add(UInt64(byte)) }
        // No ID holds it, so AB and C differ from A and BC.
        add(0xFF)
        for byte in fields.variant { add(UInt64(byte)) }
        add(UInt64(UInt32(bitPattern: fields.cohort)))
        add(UInt64(UInt32(bitPattern: day)))
        return hash ^ hash >> 32
    }
}

extension ArmCounts.Arm {
    fileprivate func matches(_ fields: AssignmentFields, _ day: Int32) -> Bool {
        self.day == day && cohort == fields.cohort
            && experimentLength == fields.experiment.count
            && names.count == experimentLength + fields.variant.count
            && names[..<experimentLength].elementsEqual(fields.experiment)
            && names[experimentLength...].elementsEqual(fields.variant)
    }
}
