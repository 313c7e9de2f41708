import Foundation
import Logging
import Synchronization
import Testing

@testable import Telemetry

@Suite struct JSONLogHandlerTests {
    /// What a handler wrote.
    private final class Lines: Sendable {
        let all = Mutex<[[UInt8]]>([])

        var text: [String] { all.withLock { $0.map { String(decoding: $0, as: UTF8.self) } } }

        func object(_ index: Int = 0) throws -> [String: Any] {
            let line = all.withLock { $0[index] }
            return try #require(
                JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
        }
    }

    private let lines = Lines()

    private func logger(provider: Logger.MetadataProvider? = nil) -> Logger {
        let lines = lines
        return Logger(label: "ledger.test") { label in
            JSONLogHandler(label: label, level: .info, metadataProvider: provider) { line in
                lines.all.withLock { $0.append(line) }
            }
        }
    }

    @Test func `a message is one line of JSON with time, level, label and text`() throws {
        logger().warning("disk\nfull")
        #expect(lines.text.count == 1)
        #expect(lines.text[0].hasSuffix("}\n"))
        #expect(lines.text[0].filter { $0 == "\n" }.count == 1)
        let object = try lines.object()
        #expect(object["level"] as? String == "warning")
        #expect(object["label"] as? String == "ledger.test")
        #expect(object["message"] as? String == "disk\nfull")
        let at = try #require(object["at"] as? String)
        #expect(at.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/) != nil)
    }

    @Test func `every character comes back from the JSON as it went in`() throws {
        let text = (0..<0x100).compactMap(Unicode.Scalar.init).map(String.init).joined() + "é漢🧪"
        logger().info("\(text)", metadata: ["key \"\\\u{1}": "\(text)"])
        let object = try lines.object()
        #expect(object["message"] as? String == text)
        #expect(object["key \"\\\u{1}"] as? String == text)
    }

    @Test func `metadata keys stand beside the message, sorted, with numbers as numbers`() {
        logger().info(
            "m",
            metadata: [
                "b": .stringConvertible(7), "a": .stringConvertible(true),
                "c": ["x", .stringConvertible(1.5)], "d": ["k": "v", "j": "w"],
                "nan": .stringConvertible(Double.nan),
            ])
        #expect(
            lines.text[0].hasSuffix(
                #""message":"m","a":true,"b":7,"c":["x",1.5],"d":{"j":"w","k":"v"},"nan":"nan"}"#
                    + "\n"))
    }

    @Test func `metadata can't repeat the line's own keys`() throws {
        logger().info("m", metadata: ["level": "x"])
        let object = try lines.object()
        #expect(object["level"] as? String == "info")
        #expect(object["meta_level"] as? String == "x")
    }

    @Test func `an event's metadata wins over the provider's, and that over the logger's`() throws {
        let provider = Logger.MetadataProvider { ["a": "provider", "b": "provider"] }
        var logger = logger(provider: provider)
        logger[metadataKey: "a"] = "logger"
        logger[metadataKey: "b"] = "logger"
        logger[metadataKey: "c"] = "logger"
        logger.info("m", metadata: ["b": "event"])
        let object = try lines.object()
        #expect(object["a"] as? String == "provider")
        #expect(object["b"] as? String == "event")
        #expect(object["c"] as? String == "logger")
    }

    @Test func `messages under the level are not written`() {
        logger().debug("m")
        #expect(lines.text.isEmpty)
    }

    @Test(arguments: [
        (0, 0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
        (951_868_800, 5, "2000-03-01T00:00:00.000005Z"),
        (1_767_323_045, 678_901, "2026-01-02T03:04:05.678901Z"),
        (-1, 0, "1969-12-31T23:59:59.000000Z"),
    ])
    func `a moment is shown in UTC with microseconds`(
        seconds: Int, microseconds: Int, text: String
    ) {
        let moment = Timestamp(secondsSince1970: seconds, microseconds: microseconds)
        #expect(moment.description == text)
    }
}
