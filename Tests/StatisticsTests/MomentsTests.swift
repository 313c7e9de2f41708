import SeededRandomness
import Testing

@testable import Statistics

struct MomentsTests {
    /// Numbers of very different size, some of them alike.
    private static func number(_ generator: inout SeededGenerator) -> Double {
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: Double(Int.random(in: -3...3, using: &generator))
        case 1: 1e9 + Double.random(in: 0..<1, using: &generator)
        case 2: Double.random(in: -1...1, using: &generator) * 1e-12
        case 3: Double.random(in: -1e15...1e15, using: &generator)
        case 4: Double.random(in: 0..<1, using: &generator)
        default: Bool.random(using: &generator) ? 1 : 0
        }
    }

    @Test func `of the numbers 2, 4, 4, 4, 5, 5, 7, 9`() {
        let moments = Moments([2, 4, 4, 4, 5, 5, 7, 9])
        #expect(moments.count == 8)
        #expect(moments.mean == 5)
        #expect(moments.squaredDeviations == 32)
        #expect(moments.variance == 32.0 / 7)
        #expect(moments.standardDeviation == (32.0 / 7).squareRoot())
    }

    @Test func `of nothing and of one number`() {
        #expect(Moments().mean == 0)
        #expect(Moments().variance == nil)
        #expect(Moments([-3.5]).mean == -3.5)
        #expect(Moments([-3.5]).squaredDeviations == 0)
        #expect(Moments([-3.5]).variance == nil)
    }

    @Test func `equal numbers have no variance, to the last bit`() {
        for value in [0.1, 1e9 + 0.1, -7.3e-9, 1.7e308, .leastNonzeroMagnitude] {
            #expect(Moments(repeatElement(value, count: 1_001)).variance == 0)
            #expect(Moments(repeatElement(value, count: 1_001)).mean == value)
        }
    }

    @Test func `a spread far smaller than the numbers is kept`() {
        let moments = Moments((0..<1_000).map { 1e15 + Double($0 % 2) })
        #expect(moments.squaredDeviations == 250)
    }

    @Test(.timeLimit(.minutes(10)))
    func `a million changes later they are what the numbers left give`() {
        var generator = SeededGenerator()
        var moments = Moments()
        var numbers: [Double] = []
        for _ in 0..<1_000_000 {
            if numbers.count < 10 || numbers.count < 2_000 && Bool.random(using: &generator) {
                numbers.append(Self.number(&generator))
                moments.add(numbers[numbers.count - 1])
            } else {
                let index = Int.random(in: numbers.indices, using: &generator)
                moments.remove(numbers[index])
                numbers.swapAt(index, numbers.count - 1)
                numbers.removeLast()
            }
        }
        let fresh = Moments(numbers)
        #expect(moments == fresh)
        #expect(moments.encoded == fresh.encoded)
        #expect(moments.mean == fresh.mean)
        #expect(moments.squaredDeviations == fresh.squaredDeviations)
        // Once more in two passes, as the textbook says.
        let mean = numbers.reduce(0, +) / Double(numbers.count)
        let deviations = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        #expect(relativelyClose(moments.squaredDeviations, deviations, 1e-12))
        for number in numbers { moments.remove(number) }
        #expect(moments == Moments())
        #expect(moments.encoded == Moments().encoded)
    }

    @Test func `numbers a billion apart leave no trace once removed`() {
        var generator = SeededGenerator()
        let small = (0..<1_000).map { _ in Double.random(in: 0..<1, using: &generator) }
        let large = (0..<1_000).map { 1e9 + Double($0) / 7 }
        var moments = Moments(large)
        for (add, remove) in zip(small, large) {
            moments.add(add)
            moments.remove(remove)
        }
        #expect(moments == Moments(small))
        let mean = small.reduce(0, +) / 1_000
        let deviations = small.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        #expect(relativelyClose(moments.squaredDeviations, deviations, 1e-12))
    }

    @Test func `the ends of the range of numbers are no danger`() {
        let ends = [
            Double.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude,
            -.leastNonzeroMagnitude,
        ]
        var moments = Moments(ends)
        #expect(moments.mean == 0)
        #expect(moments.variance == .infinity)
        #expect(Moments(encoded: moments.encoded) == moments)
        moments.add(3)
        for end in ends { moments.remove(end) }
        #expect(moments == Moments([3]))
        #expect(Moments(repeatElement(.greatestFiniteMagnitude, count: 9)).mean.isFinite)
    }

    @Test func `merging is adding together`() {
        var generator = SeededGenerator()
        for _ in 0..<200 {
            let parts = (0..<3).map { _ in
                (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    Self.number(&generator)
                }
            }
            var merged = Moments(parts[0])
            merged.merge(Moments(parts[1]))
            merged.merge(Moments(parts[2]))
            let together = Moments(parts.flatMap { $0 }.shuffled(using: &generator))
            #expect(merged == together)
            #expect(merged.encoded == together.encoded)
        }
    }

    @Test func `merging with itself again and again stays exact`() {
        var moments = Moments([0.1, -3, 1e10])
        for _ in 0..<50 { moments.merge(moments) }
        #expect(moments.count == 3 << 50)
        #expect(moments.mean == Moments([0.1, -3, 1e10]).mean)
    }

    @Test func `what is encoded comes back and goes on`() throws {
        var generator = SeededGenerator()
        for length in 0..<200 {
            var numbers = (0..<length).map { _ in Self.number(&generator) }
            var decoded = try #require(Moments(encoded: Moments(numbers).encoded))
            #expect(decoded == Moments(numbers))
            if let last = numbers.popLast() { decoded.remove(last) }
            #expect(decoded == Moments(numbers))
        }
    }

    @Test func `what never was encoded is refused`() {
        let encoded = Moments([1, 2.5, -1e9]).encoded
        for length in encoded.indices {
            #expect(Moments(encoded: Array(encoded[..<length])) == nil)
        }
        #expect(Moments(encoded: encoded + [0]) == nil)
        // The count, 3, in two bytes, and a Σx² that no two numbers with that Σx have.
        #expect(Moments(encoded: [1, 0x83, 0] + encoded.dropFirst(2)) == nil)
        #expect(Moments(encoded: [1, 2, 2, 0, 3, 0, 0, 0, 2, 0, 4, 0, 0, 0]) == nil)
        #expect(Moments(encoded: [1, 2, 2, 0, 3, 0, 0, 0, 2, 0, 5, 0, 0, 0]) == Moments([1, 2]))
        #expect(Moments(encoded: [2] + encoded.dropFirst()) == nil)
        var generator = SeededGenerator()
        for _ in 0..<10_000 {
            var bytes = encoded
            let index = Int.random(in: bytes.indices, using: &generator)
            bytes[index] = .random(in: 0...255, using: &generator)
            // Either refused or moments like any other.
            if let read = Moments(encoded: bytes) { #expect(read.encoded == bytes) }
        }
    }

    @Test func `only zeros and ones are proportions`() {
        #expect(Moments([0, 1, 1, 0]).isProportion)
        #expect(Moments([0]).isProportion)
        #expect(!Moments([0, 1, 2]).isProportion)
        #expect(!Moments([0, 0.5]).isProportion)
        #expect(!Moments().isProportion)
    }

    @Test func `a proportion's variance is p (1 − p)`() {
        let mean = EstimatedMean(Moments([1, 1, 0, 0, 0]), .proportion)
        #expect(mean.mean == 0.4)
        #expect(close(mean.variance, 0.24, 1e-15))
        #expect(close(EstimatedMean(Moments([1, 1, 0, 0, 0]), .mean).variance, 0.3, 1e-15))
    }
}
