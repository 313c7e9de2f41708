import Foundation
import Gzip
import Testing

@Suite struct GzipTests {
    private static let line = #"{"position":1,"type":"AssignmentMade","name":"Zoë"}"# + "\n"
    private static let text = Array(String(repeating: line, count: 900).utf8)

    @Test(arguments: 1...9) func whatIsCompressedComesBackAtEveryLevel(level: Int) throws {
        let compressed = gzipped(Self.text, level: level)
        #expect(compressed.count < Self.text.count / 10)
        #expect(try gunzipped(compressed, bytesMax: Self.text.count) == Self.text)
    }

    @Test func nothingComesBackAsNothing() throws {
        #expect(try gunzipped(gzipped([]), bytesMax: 0) == [])
    }

    @Test func bytesThatCannotBeCompressedComeBack() throws {
        let noise = (0..<300_000).map { _ in UInt8.random(in: 0...255) }
        #expect(try gunzipped(gzipped(noise), bytesMax: noise.count) == noise)
    }

    @Test func aByteMoreThanTheLimitIsRefused() {
        #expect(throws: GzipError.tooLarge) {
            try gunzipped(gzipped(Self.text), bytesMax: Self.text.count - 1)
        }
    }

    @Test func whatIsCutShortAlteredOrFollowedByMoreIsRefused() {
        let compressed = gzipped(Self.text)
        var altered = compressed
        altered[compressed.count - 6] ^= 1
        for broken in [Array(compressed.dropLast()), altered, compressed + [0], [], Self.text] {
            #expect(throws: GzipError.broken) {
                try gunzipped(broken, bytesMax: Self.text.count)
            }
        }
    }

    @Test func theGzipCommandReadsItAndWritesWhatIsRead() throws {
        let plain = FileManager.default.temporaryDirectory
            .appending(path: "ledger-\(UUID().uuidString)")
        let packed = plain.appendingPathExtension("gz")
        defer { for file in [plain, packed] { try? FileManager.default.removeItem(at: file) } }
        try Data(Self.text).write(to: plain)
        try Data(gzipped(Self.text)).write(to: packed)
        #expect(try gzip(["-t", packed.path]).status == 0)
        #expect(try gzip(["-dc", packed.path]).output == Self.text)
        let theirs = try gzip(["-9c", plain.path]).output
        #expect(try gunzipped(theirs, bytesMax: Self.text.count) == Self.text)
    }

    private func gzip(_ arguments: [String]) throws -> (status: Int32, output: [UInt8]) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["gzip"] + arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, Array(bytes))
    }
}
