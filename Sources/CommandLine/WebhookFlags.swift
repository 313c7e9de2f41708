import ArgumentParser
import JSON

/// The settings of an endpoint, as flags.
struct WebhookFlags: ParsableArguments {
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Types of events, or starts of some as in 'Experiment*'; '*' is all but keys and "
                + "webhooks.", valueName: "type"))
    var events: [String] = []

    @Option(help: ArgumentHelp("Only experiments of this lab.", valueName: "id"))
    var lab: String?

    @Option(
        help: ArgumentHelp(
            "Only this experiment; of a step experiment, its exact name.", valueName: "id"))
    var experiment: String?

    @Option(
        help: ArgumentHelp("Only step experiments of this function.", valueName: "function"))
    var function: String?

    @Option(
        help: ArgumentHelp(
            "standard-webhooks (if nothing is said), ndjson, cloudevents, cloudevents-batch, "
                + "clickhouse, segment, posthog, amplitude or snowplow.", valueName: "name"))
    var encoder: String?

    @Option(
        help: ArgumentHelp(
            "ordered-by-key (if nothing is said), parallel or strict.", valueName: "mode"))
    var mode: String?

    @Option(help: ArgumentHelp("Events in one request at most.", valueName: "n"))
    var batchCount: Int?

    @Option(
        help: ArgumentHelp("Bytes of one request at most, uncompressed.", valueName: "n"))
    var batchBytes: Int?

    @Option(help: ArgumentHelp("Requests per second at most.", valueName: "n"))
    var rateLimit: Double?

    @Flag(inversion: .prefixedNo, help: "Compress bodies.")
    var gzip: Bool?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Networks the endpoint may be in though they are not public, as in 10.0.0.0/8.",
            valueName: "cidr"))
    var allow: [String] = []

    @Option(
        help: ArgumentHelp(
            "A header to send along, as in 'Authorization: @token.txt'. May be repeated; they "
                + "replace all there were.", valueName: "name: value"))
    var header: [WebhookHeader] = []

    @Option(
        help: ArgumentHelp("What the receiver knows the sender by.", valueName: "key|@file|-"))
    var apiKey: SecretText?

    @Option(
        help: ArgumentHelp(
            "The authorities to trust in place of the system's, as PEM.", valueName: "file"))
    var caFile: String?

    @Option(help: ArgumentHelp("The certificate to show, as PEM.", valueName: "file"))
    var clientCert: String?

    @Option(help: ArgumentHelp("The certificate's key, as PEM.", valueName: "file"))
    var clientKey: String?

    /// Said in the help of commands that take these flags.
    static let secrecy = """
        Arguments can be read by other users of this machine: give API keys, secrets and the \
        values of headers as @FILE, or as - for standard input.
        """

    func validate() throws {
        if (clientCert == nil) != (clientKey == nil) {
            throw ValidationError("--client-cert and --client-key need each other.")
        }
        if let rateLimit, !(rateLimit > 0 && rateLimit.isFinite) {
            throw ValidationError("--rate-limit is more than 0.")
        }
        let fromInput =
            header.count { $0.value.isStandardInput } + (apiKey?.isStandardInput == true ? 1 : 0)
        if fromInput > 1 {
            throw ValidationError("Standard input holds one secret; name files for others.")
        }
    }

    var isEmpty: Bool {
        let texts = [
            lab, experiment, function, encoder, mode, apiKey?.text, caFile, clientCert,
        ]
        return events.isEmpty && allow.isEmpty && header.isEmpty && batchCount == nil
            && batchBytes == nil && rateLimit == nil && gzip == nil
            && texts.allSatisfy { $0 == nil }
    }

    /// Writes the members of a request.
    ///
    /// - Parameter present: what the endpoint has, where only a part of it changes.
    func write(
        to writer: inout JSONWriter, over present: WebhookAnswer?
    ) throws(CommandFailure) {
        writer.texts("events", events)
        writeFilter(to: &writer, present?.filter)
        writer.text("encoder", encoder)
        writer.text("mode", mode)
        writeBatch(to: &writer, present?.batch)
        if let rateLimit {
            writer.key("rateLimit")
            writer.number(rateLimit)
        }
        writer.text("compression", gzip.map { $0 ? "gzip" : "none" })
        writer.texts("allow", allow)
        if !header.isEmpty {
            writer.key("headers")
            writer.beginObject()
            for header in header {
                writer.key(header.name)
                writer.string(try header.value.read())
            }
            writer.endObject()
        }
        if let apiKey { writer.text("apiKey", try apiKey.read()) }
        for (name, path) in [
            ("authorities", caFile), ("certificate", clientCert), ("privateKey", clientKey),
        ] as [(StaticString, String?)] {
            if let path { writer.text(name, try SecretText.contents(of: path)) }
        }
    }

    private func writeFilter(to writer: inout JSONWriter, _ present: WebhookAnswer.Filter?) {
        guard lab != nil || experiment != nil || function != nil else { return }
        writer.key("filter")
        writer.beginObject()
        writer.text("lab", lab ?? present?.lab)
        writer.text("experiment", experiment ?? present?.experiment)
        writer.text("function", function ?? present?.function)
        writer.endObject()
    }

    private func writeBatch(to writer: inout JSONWriter, _ present: WebhookAnswer.Batch?) {
        guard batchCount != nil || batchBytes != nil else { return }
        writer.key("batch")
        writer.beginObject()
        for (name, value) in [
            ("maxCount", batchCount ?? present?.maxCount),
            ("maxBytes", batchBytes ?? present?.maxBytes),
        ] as [(StaticString, Int?)] {
            guard let value else { continue }
            writer.key(name)
            writer.integer(value)
        }
        writer.endObject()
    }
}

extension JSONWriter {
    /// A member, if there is a value for it.
    mutating func text(_ name: StaticString, _ value: String?) {
        guard let value else { return }
        key(name)
        string(value)
    }

    /// A member with a list, if it is not empty.
    mutating func texts(_ name: StaticString, _ values: [String]) {
        guard !values.isEmpty else { return }
        key(name)
        beginArray()
        for value in values { string(value) }
        endArray()
    }
}

/// A header as an argument: `Name: value`, the value as a ``SecretText``.
struct WebhookHeader: ExpressibleByArgument {
    let name: String
    let value: SecretText

    init?(argument: String) {
        guard let colon = argument.firstIndex(of: ":"), colon > argument.startIndex else {
            return nil
        }
        name = String(argument[..<colon])
        let rest = argument[argument.index(after: colon)...].drop { $0 == " " }
        value = SecretText(String(rest))
    }
}

/// A secret as an argument: itself, `@` and the file that holds it, or `-` for standard input.
struct SecretText: ExpressibleByArgument {
    let text: String

    init(_ text: String) { self.text = text }

    init?(argument: String) {
        guard !argument.isEmpty, argument != "@" else { return nil }
        text = argument
    }

    var isStandardInput: Bool { text == "-" }

    /// The secret, without the line break that files end in.
    func read() throws(CommandFailure) -> String {
        guard isStandardInput || text.hasPrefix("@") else { return text }
        var secret = try Self.contents(of: isStandardInput ? "-" : String(text.dropFirst()))
        while let last = secret.unicodeScalars.last, last == "\n" || last == "\r" {
            secret.unicodeScalars.removeLast()
        }
        return secret
    }

    /// A file as text; `-` is standard input.
    static func contents(of path: String) throws(CommandFailure) -> String {
        let file = try InputFile(path: path)
        var bytes: [UInt8] = []
        while let piece = try file.next() { bytes += piece }
        return String(decoding: bytes, as: UTF8.self)
    }
}
