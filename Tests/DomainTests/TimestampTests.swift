import SeededRandomness
import Testing

@testable import Domain

@Suite struct TimestampTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01", 0), ("1969-12-31T23:59:59.999999Z", -1),
            ("2000-02-29T12:34:56.789Z", 951_827_696_789_000),
            ("2024-11-01t09:00:00z", 1_730_451_600_000_000),
            ("2024-11-01 09:00:00+00:00", 1_730_451_600_000_000),
            ("2024-11-01T10:30:00+01:30", 1_730_451_600_000_000),
            ("2024-10-31T23:00:00-10:00", 1_730_451_600_000_000),
            ("2024-11-01T09:00:00.1234567Z", 1_730_451_600_123_456),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ] as [(String, Int64)])
    func `a text names a moment`(text: String, microseconds: Int64) {
        #expect(Timestamp(text)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "", "now", "2024", "2024-13-01", "2024-00-01", "2024-01-00", "2024-04-31", "2023-02-29",
        "1900-02-29", "0000-01-01", "24-01-01", "2024-1-1", "2024-01-01T", "2024-01-01T00:00Z",
        "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z",
        "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+0100", "2024-01-01T00:00:00Zx", "2024-01-01x", " 2024-01-01",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "٢٠٢٤-01-01",
    ])
    func `what is no moment is refused`(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func `any moment reads back from its 27 bytes`() {
        var generator = SeededGenerator()
        for _ in 0..<20_000 {
            let time = Timestamp(
                microseconds: .random(
                    in: -62_135_596_800_000_000..<253_402_300_800_000_000, using: &generator))
            #expect(time.bytes.count == 27, "seed \(generator.seed)")
            #expect(Timestamp(time.description) == time, "seed \(generator.seed)")
        }
    }

    @Test func `texts of moments sort as the moments do`() {
        var generator = SeededGenerator()
        for _ in 0..<2_000 {
            let pair = (0..<2).map { _ in
                Timestamp(
                    microseconds: .random(
                        in: 0..<253_402_300_800_000_000, using: &generator))
            }
            #expect(
                (pair[0] < pair[1]) == (pair[0].description < pair[1].description),
                "seed \(generator.seed)")
        }
    }
}
