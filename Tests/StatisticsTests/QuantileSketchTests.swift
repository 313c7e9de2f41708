import Glibc
import SeededRandomness
import Testing

@testable import Statistics

struct QuantileSketchTests {
    enum Shape: CaseIterable {
        case uniform, normal, logNormal, pareto, whole, negative, alike, wide

        func number(_ generator: inout SeededGenerator) -> Double {
            let u = Double.random(in: 0x1p-53..<1, using: &generator)
            let angle = Double.random(in: 0..<2 * .pi, using: &generator)
            let normal = (-2 * log(u)).squareRoot() * cos(angle)
            return switch self {
            case .uniform: u
            case .normal: normal * 100
            case .logNormal: exp(normal * 2)
            case .pareto: pow(u, -1.2)
            case .whole: (u * 300 - 100).rounded(.down)
            case .negative: -exp(normal)
            case .alike: 0.3
            case .wide: normal * pow(10, Double.random(in: -30...30, using: &generator))
            }
        }
    }

    private static let shares = [0, 0.001, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1]

    /// Every quantile is that of the sorted numbers, within the relative error.
    private func expectQuantiles(
        _ sketch: QuantileSketch, of numbers: [Double], _ comment: Comment
    ) throws {
        let sorted = numbers.sorted()
        #expect(sketch.count == sorted.count)
        for share in Self.shares {
            let rank = max(1, Int((share * Double(sorted.count)).rounded(.up)))
            let estimate = try #require(sketch.quantile(share))
            let exact = sorted[rank - 1]
            #expect(relativelyClose(estimate, exact, QuantileSketch.relativeErrorMax), comment)
        }
    }

    @Test func `the error is at most one percent`() {
        #expect(QuantileSketch.relativeErrorMax <= 0.01)
    }

    @Test(arguments: Shape.allCases)
    func `quantiles are within the error, and still after removals`(_ shape: Shape) throws {
        var generator = SeededGenerator()
        for count in [1, 2, 10, 1_000, 20_000] {
            var numbers = (0..<count).map { _ in shape.number(&generator) }
            var sketch = QuantileSketch(numbers)
            try expectQuantiles(sketch, of: numbers, "\(shape), \(count) numbers")
            numbers.shuffle(using: &generator)
            for _ in 0..<count / 2 { sketch.remove(numbers.removeLast()) }
            try expectQuantiles(sketch, of: numbers, "\(shape), half of \(count) numbers")
            numbers.sort()
            for _ in 0..<count / 4 { sketch.remove(numbers.removeLast()) }
            for _ in 0..<count / 4 {
                numbers.append(shape.number(&generator))
                sketch.add(numbers[numbers.count - 1])
            }
            try expectQuantiles(sketch, of: numbers, "\(shape), replaced of \(count) numbers")
        }
    }

    @Test func `every number is within the error of its bucket`() {
        var generator = SeededGenerator()
        for _ in 0..<200_000 {
            let exponent = Int.random(in: -128..<128, using: &generator)
            let significand = Double.random(in: 1..<2, using: &generator)
            let value = Double(sign: .plus, exponent: exponent, significand: significand)
            let middle = QuantileSketch.representative(QuantileSketch.key(value))
            #expect(relativelyClose(middle, value, QuantileSketch.relativeErrorMax))
            #expect(QuantileSketch.key(-value) == -QuantileSketch.key(value))
        }
    }

    @Test func `buckets ascend with the numbers`() {
        var generator = SeededGenerator()
        let numbers = (0..<50_000).map { _ in Shape.wide.number(&generator) }.sorted()
        for (lower, higher) in zip(numbers, numbers.dropFirst()) {
            #expect(QuantileSketch.key(lower) <= QuantileSketch.key(higher))
        }
    }

    @Test func `booleans and small whole numbers come back exactly`() {
        for value in -128...128 {
            let number = Double(value)
            #expect(QuantileSketch.representative(QuantileSketch.key(number)) == number)
        }
        var sketch = QuantileSketch([0, 0, 0, 1])
        #expect(Self.shares.map { sketch.quantile($0) } == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
        sketch.remove(0)
        sketch.add(1)
        #expect(sketch.quantile(0.5) == 0)
        #expect(sketch.quantile(0.75) == 1)
        #expect(sketch.quantile(0) == 0 && sketch.quantile(1) == 1)
    }

    @Test func `nothing has no quantiles`() {
        var sketch = QuantileSketch()
        #expect(sketch.quantile(0.5) == nil)
        sketch.add(7.3)
        sketch.remove(7.3)
        #expect(sketch == QuantileSketch())
        sketch.add(-0.0)
        #expect(sketch.quantile(0) == 0 && sketch.quantile(1) == 0)
    }

    @Test(arguments: Shape.allCases)
    func `merging is adding together`(_ shape: Shape) {
        var generator = SeededGenerator()
        for _ in 0..<50 {
            let parts = (0..<3).map { _ in
                (0..<Int.random(in: 0...60, using: &generator)).map { _ in
                    shape.number(&generator)
                }
            }
            var merged = QuantileSketch(parts[0])
            merged.merge(QuantileSketch(parts[1]))
            merged.merge(QuantileSketch(parts[2]))
            #expect(merged == QuantileSketch(parts.flatMap { $0 }.shuffled(using: &generator)))
        }
    }

    @Test func `removing is the inverse of adding`() {
        var generator = SeededGenerator()
        for shape in Shape.allCases {
            let numbers = (0..<500).map { _ in shape.number(&generator) }
            let guests = (0..<500).map { _ in shape.number(&generator) }
            var sketch = QuantileSketch(numbers)
            for guest in guests { sketch.add(guest) }
            for guest in guests.shuffled(using: &generator) { sketch.remove(guest) }
            let alone = QuantileSketch(numbers)
            #expect(sketch == alone && sketch.encoded == alone.encoded)
            for number in numbers { sketch.remove(number) }
            #expect(sketch == QuantileSketch())
        }
    }

    @Test func `space is bounded, whatever the numbers`() {
        var generator = SeededGenerator()
        var sketch = QuantileSketch()
        for _ in 0..<300_000 {
            let bits = UInt64.random(in: 0...UInt64.max, using: &generator)
            let value = Double(bitPattern: bits)
            if value.isFinite { sketch.add(value) }
        }
        #expect(sketch.bucketCount <= QuantileSketch.bucketsMax)
        #expect(QuantileSketch.bucketsMax == 32_771)
        sketch.add(.greatestFiniteMagnitude)
        sketch.add(-.greatestFiniteMagnitude)
        #expect(sketch.quantile(1) == 0x1p128 && sketch.quantile(0) == -0x1p128)
    }

    @Test func `what is encoded comes back and goes on`() throws {
        var generator = SeededGenerator()
        for shape in Shape.allCases {
            for length in [0, 1, 2, 50, 2_000] {
                let numbers = (0..<length).map { _ in shape.number(&generator) }
                var sketch = QuantileSketch(numbers)
                var decoded = try #require(QuantileSketch(encoded: sketch.encoded))
                #expect(decoded == sketch)
                for number in numbers.prefix(length / 3) {
                    sketch.remove(number)
                    decoded.remove(number)
                }
                #expect(decoded == sketch)
                #expect(QuantileSketch(encoded: sketch.encoded) == sketch)
            }
        }
    }

    @Test func `what never was encoded is refused`() {
        let encoded = QuantileSketch([0, 1, 1, -5.5, 1e20]).encoded
        for length in encoded.indices {
            #expect(QuantileSketch(encoded: Array(encoded[..<length])) == nil)
        }
        #expect(QuantileSketch(encoded: encoded + [0]) == nil)
        // Keys that don't ascend.
        let keys = [1.0, 2, 3].map(QuantileSketch.key)
        for order in [[1, 0, 2], [0, 0, 2]] {
            let sketch = QuantileSketch(
                count: 3, keys: order.map { keys[$0] }, counts: [1, 1, 1])
            #expect(QuantileSketch(encoded: sketch.encoded) == nil)
        }
        var generator = SeededGenerator()
        for _ in 0..<10_000 {
            var bytes = encoded
            let index = Int.random(in: bytes.indices, using: &generator)
            bytes[index] = .random(in: 0...255, using: &generator)
            if let read = QuantileSketch(encoded: bytes) { #expect(read.encoded == bytes) }
        }
    }
}
