import Curl
import Domain
import JSON

/// Sends the scores of a file in batches.
///
/// The batches of a file are always the same, and each has a key of its own, so that a file can
/// be sent again under the same key without recording anything twice.
struct ScoreSending {
    /// Leaves room for the batch's number.
    static let keyBytesMax = Limits.idempotencyKeyBytesMax - 20
    /// Failures that are shown; the rest is counted.
    private static let partsShownMax = 20

    private struct Answer: Decodable {
        var scores: [RecordedScore]
        var position: Int
    }

    private let client: Client
    private let key: String
    private let format: OutputFormat
    private var batch = ScoreBatch()
    /// Whether the batch was sent, and its answer did not come.
    private var isSending = false
    private var batches = 0
    private var recorded = 0
    private var unattributed = 0
    private var position = 0

    init(client: Client, key: String, format: OutputFormat) {
        self.client = client
        self.key = key
        self.format = format
    }

    static func isKey(_ text: String) -> Bool {
        (1...keyBytesMax).contains(text.utf8.count) && text.utf8.allSatisfy { 0x21...0x7e ~= $0 }
    }

    mutating func run(_ path: String) throws {
        let file = try InputFile(path: path)
        // Off a terminal the last line says it all.
        let progress =
            Terminal.isStandardError ? Progress(label: "sent", total: nil, unit: "scores") : nil
        do {
            defer { progress?.finish() }
            try send(file, progress)
        } catch var failure as CommandFailure {
            failure.details += advice(after: failure)
            throw failure
        }
        guard recorded > 0 else {
            throw CommandFailure(message: "there is no score in '\(path)'")
        }
        guard format == .table else { return }
        print("Recorded \(grouped(recorded)) scores, the last at position \(position).")
        if unattributed > 0 {
            print("\(grouped(unattributed)) of them are unattributed: their units have no variant.")
        }
    }

    private mutating func send(_ file: InputFile, _ progress: Progress?) throws {
        var splitter = ScoreSplitter()
        while let piece = try file.next() {
            try splitter.receive(piece) { object in
                if !batch.hasRoom(for: object) {
                    try sendBatch()
                    progress?.update(recorded)
                }
                try batch.add(object)
            }
        }
        try splitter.finish()
        try sendBatch()
        progress?.update(recorded)
    }

    private mutating func sendBatch() throws(CommandFailure) {
        guard !batch.lines.isEmpty else { return }
        batches += 1
        isSending = true
        let response: Response
        do {
            response = try client.send(
                "POST", ["v1", "scores"],
                Client.Details(
                    contentType: "application/json",
                    headers: [("Idempotency-Key", "\(key)/\(batches)")], body: batch.body))
        } catch {
            throw batch.located(error, partsMax: Self.partsShownMax)
        }
        if format != .table { Terminal.print(body: response.body) }
        let answer = try ServerJSON.decode(Answer.self, from: response.body)
        recorded += answer.scores.count
        unattributed += answer.scores.count { $0.variant == nil }
        position = answer.position
        batch = ScoreBatch()
        isSending = false
    }

    /// What is recorded where the file was not sent to its end, and how to go on.
    private func advice(after failure: CommandFailure) -> [String] {
        let isKnown = !isSending || 400..<500 ~= failure.status ?? 0
        if recorded == 0, isKnown { return ["Nothing is recorded."] }
        let rest = batch.lines.first.map { "from line \($0) on" } ?? "after that"
        return [
            isKnown
                ? "\(grouped(recorded)) scores are recorded, none \(rest)."
                : "\(grouped(recorded)) scores are recorded for certain; \(rest) it is not known.",
            "Send it again with --batch-key \(key), and nothing is recorded twice.",
        ]
    }
}

/// Scores that are sent together, as a JSON array.
struct ScoreBatch {
    /// On which each score begins.
    private(set) var lines: [Int] = []
    private var elements: [UInt8] = [UInt8(ascii: "[")]

    var body: [UInt8] { elements + [UInt8(ascii: "]")] }

    func hasRoom(for object: ScoreSplitter.Object) -> Bool {
        lines.count < Limits.batchLengthMax
            && elements.count + object.bytes.count + 2 <= Limits.requestBodyBytesMax
    }

    mutating func add(_ object: ScoreSplitter.Object) throws(CommandFailure) {
        do throws(JSONError) {
            try scanning(object.bytes) { scanner throws(JSONError) in
                try scanner.skip()
                try scanner.end()
            }
        } catch {
            throw CommandFailure(message: "line \(object.line): not valid JSON: \(error)")
        }
        if !lines.isEmpty { elements.append(UInt8(ascii: ",")) }
        elements += object.bytes
        lines.append(object.line)
    }

    /// The failure with the lines that its parts are on.
    func located(_ failure: CommandFailure, partsMax: Int) -> CommandFailure {
        var failure = failure
        let parts = failure.parts
        failure.parts = []
        failure.details += parts.prefix(partsMax).map { part in
            let steps = (part.pointer ?? "").split(separator: "/", maxSplits: 1)
            guard let index = steps.first.flatMap({ Int($0) }), lines.indices.contains(index)
            else { return Display.oneLine(part.description) }
            let detail = part.detail ?? ""
            let member = steps.count > 1 && !detail.hasPrefix(steps[1]) ? "\(steps[1]): " : ""
            return Display.oneLine("line \(lines[index]): \(member)\(detail)")
        }
        if parts.count > partsMax {
            failure.details.append("and \(grouped(parts.count - partsMax)) more")
        }
        return failure
    }
}
