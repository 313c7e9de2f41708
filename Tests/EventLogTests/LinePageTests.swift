import Domain
import Postgres
import SeededRandomness
import TestSupport
import Testing

@testable import EventLog

@Suite("A page of lines")
struct LinePageTests {
    private static func read(
        _ connection: Connection, after: Int64, through: Int64, limit: Int,
        bytesMax: Int = 4 << 20
    ) throws -> [[UInt8]] {
        let page = try LinePage.read(
            after: after, through: through, limit: limit, bytesMax: bytesMax, connection)
        let lines = page.bytes.split(separator: UInt8(ascii: "\n")).map(Array.init)
        #expect(lines.count == page.count)
        #expect(page.bytes.isEmpty || page.bytes.last == UInt8(ascii: "\n"))
        return lines
    }

    @Test("holds the very lines of its events, whatever texts and times they have")
    func exactLines() async throws {
        let database = try TestDatabase()
        var generator = SeededGenerator()
        let events = (1...5_000).map { RandomLines.event(position: $0, &generator) }
        try await onThread {
            let connection = try database.connect()
            defer { connection.close() }
            try RandomLines.store(events, connection)
            let lines = events.map(\.line)
            for (after, through, limit) in [
                (0, 5_000, 10_000), (0, 5_000, 2_000), (0, 5_000, 2_001), (4_999, 5_000, 1),
                (17, 4_000, 3_900), (5_000, 5_000, 5), (12, 13, 7),
            ] as [(Int64, Int64, Int)] {
                let end = min(Int(through), Int(after) + limit)
                #expect(
                    try Self.read(connection, after: after, through: through, limit: limit)
                        == Array(lines[Int(after)..<end]))
            }
        }
    }

    @Test("ends with the line that reaches its bytes, and goes on behind it")
    func bytes() async throws {
        let database = try TestDatabase()
        var generator = SeededGenerator()
        let events = (1...6_000).map { RandomLines.event(position: $0, &generator) }
        let bounds = (0..<4).map { _ in Int.random(in: 1...1_000_000, using: &generator) }
        try await onThread {
            let connection = try database.connect()
            defer { connection.close() }
            try RandomLines.store(events, connection)
            for bytesMax in bounds + [1] {
                var read = 0
                while read < 6_000, bytesMax > 1 || read < 20 {
                    let page = try LinePage.read(
                        after: Int64(read), through: 6_000, limit: 100_000, bytesMax: bytesMax,
                        connection)
                    let last = try #require(
                        page.bytes.dropLast().split(separator: UInt8(ascii: "\n")).last)
                    #expect(page.bytes.count - last.count - 1 < bytesMax)
                    #expect(page.bytes.count >= bytesMax || read + page.count == 6_000)
                    read += page.count
                }
            }
        }
    }
}
