import ArgumentParser
import Curl

/// How an answer is printed.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json, yaml
}

/// A number of items, at least one.
struct Limit: ExpressibleByArgument {
    let count: Int

    init?(argument: String) {
        guard let count = Int(argument), count > 0 else { return nil }
        self.count = count
    }
}

/// Which ledger to ask.
struct ServerOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The ledger's address, or LEDGER_URL; \(Self.defaultURL) if there is neither.",
            valueName: "url"))
    var url: String?

    @Option(help: ArgumentHelp("The key to ask with, or LEDGER_KEY.", valueName: "key"))
    var key: String?

    static let defaultURL = "http://127.0.0.1:8080"

    /// The address with no slash at its end.
    var baseURL: String { Client.address(url ?? Environment.value(.url) ?? Self.defaultURL) }

    func validate() throws {
        guard Client.isAddress(baseURL) else {
            throw ValidationError("The URL '\(baseURL)' must begin with http:// or https://.")
        }
    }

    func client() -> Client {
        Client(baseURL: baseURL, key: key ?? Environment.value(.key))
    }
}

/// Which ledger to ask, and how to print what it answers.
struct ClientOptions: ParsableArguments {
    @OptionGroup var server: ServerOptions

    @Option(name: .shortAndLong, help: "How to print the answer.")
    var output: OutputFormat?

    @Flag(help: "The same as -o json.")
    var json = false

    /// What was asked for, if anything was.
    var chosenFormat: OutputFormat? { json ? .json : output }

    /// What was asked for, or a table.
    var format: OutputFormat { chosenFormat ?? .table }

    /// The address with no slash at its end.
    var baseURL: String { server.baseURL }

    func validate() throws {
        if json, let output, output != .json {
            throw ValidationError("--json and -o \(output.rawValue) contradict each other.")
        }
    }

    /// Refuses `-o yaml` where there is no YAML.
    func refuseYAML() throws {
        if output == .yaml {
            throw ValidationError("Only resources have a YAML form; use -o table or -o json.")
        }
    }

    func client() -> Client { server.client() }
}

/// A ledger server, asked over HTTP.
struct Client {
    /// What a request has beside its method and path.
    struct Details {
        /// Parameters; one without a value is left out.
        var query: [(String, String?)] = []
        var accept = "application/json"
        var contentType: String?
        var headers: [(String, String)] = []
        var body: [UInt8]?
    }

    let baseURL: String
    let key: String?
    private let transfer = Transfer()

    init(baseURL: String, key: String?) {
        self.baseURL = baseURL
        self.key = key
    }

    /// Sends a request to the path of these parts and gives the answer, which is a success.
    func send(
        _ method: String = "GET",
        _ path: [String],
        _ details: Details = Details()
    ) throws(CommandFailure) -> Response {
        let response: Response
        do throws(CurlError) {
            response = try transfer.perform(request(method, path, details))
        } catch {
            throw CommandFailure(error)
        }
        guard 200..<300 ~= response.status else {
            throw CommandFailure(response, sentKey: key != nil)
        }
        return response
    }

    /// Why a stream ended.
    enum StreamEnd {
        case finished
        case broken(CurlError)
    }

    /// Asks for what comes line by line; `onLine` returns false to end it.
    func lines(
        _ path: [String],
        _ details: Details,
        onLine: @escaping (ArraySlice<UInt8>) -> Bool
    ) throws(CommandFailure) -> StreamEnd {
        var response = Response()
        var splitter = LineSplitter()
        let end: StreamEnd
        do throws(CurlError) {
            try transfer.stream(request("GET", path, details)) {
                response.head = $0
            } onBody: { piece in
                if response.status == 200 {
                    return splitter.receive(piece, onLine: onLine)
                }
                response.body.append(contentsOf: piece)
                return response.body.count < 1 << 20
            }
            end = .finished
        } catch {
            end = .broken(error)
        }
        if response.status != 0, response.status != 200 {
            throw CommandFailure(response, sentKey: key != nil)
        }
        return end
    }

    private func request(_ method: String, _ path: [String], _ details: Details) -> Request {
        var headers = [("Accept", details.accept), ("User-Agent", "ledger/0.1.0")]
        if let key {
            headers.append(("Authorization", "Bearer \(key)"))
        }
        if let type = details.contentType {
            headers.append(("Content-Type", type))
        }
        return Request(
            method: method, url: Self.url(baseURL, path, details.query),
            headers: headers + details.headers, body: details.body)
    }

    /// An address without the slashes at its end.
    static func address(_ url: String) -> String {
        var url = url
        while url.hasSuffix("/") { url.removeLast() }
        return url
    }

    static func isAddress(_ url: String) -> Bool {
        url.hasPrefix("http://") || url.hasPrefix("https://")
    }

    /// The URL with each part and parameter percent-encoded.
    static func url(_ base: String, _ path: [String], _ query: [(String, String?)]) -> String {
        let parameters = query.compactMap { name, value in
            value.map { "\(encoded(name))=\(encoded($0))" }
        }
        return base + path.map { "/" + encoded($0) }.joined()
            + (parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&"))
    }

    /// Text in which all but the unreserved characters of RFC 3986 are percent-encoded.
    private static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                bytes.append(byte)
            default:
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xf)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Cuts what comes in pieces into lines, without their line ends.
struct LineSplitter {
    private var rest: [UInt8] = []

    /// Gives each line that is complete to `onLine`, and false as soon as that returns false.
    mutating func receive(
        _ piece: some Sequence<UInt8>,
        onLine: (ArraySlice<UInt8>) -> Bool
    ) -> Bool {
        var searched = rest.count
        rest.append(contentsOf: piece)
        var start = 0
        defer { rest.removeFirst(start) }
        while let end = rest[searched...].firstIndex(of: UInt8(ascii: "\n")) {
            var line = rest[start..<end]
            if line.last == UInt8(ascii: "\r") {
                line.removeLast()
            }
            start = end + 1
            searched = start
            guard onLine(line) else { return false }
        }
        return true
    }
}
