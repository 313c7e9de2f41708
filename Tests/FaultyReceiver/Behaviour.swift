/// What a `FaultyReceiver` does with a request that it has read.
package indirect enum Behaviour: Sendable {
    /// Answers as it should, and keeps the connection.
    case answer(Int, headers: [(String, String)] = [], body: String = "")
    /// Does something after a time.
    case delayed(Duration, Behaviour)
    /// Answers, and closes the connection without having said so.
    case answerAndClose
    /// Closes the connection instead of answering.
    case close
    /// Resets the connection instead of answering.
    case reset
    /// Sends half of a head and resets the connection.
    case resetInHead
    /// Leaves the request unanswered until the other side closes or the receiver is stopped.
    case silence
    /// Sends a head at once, and then a byte of the body each second.
    case drip
    /// Sends a body that does not end.
    case endlessBody
    /// Sends a head with that many bytes of headers, in lines of that many bytes, and a status 200.
    case headers(bytes: Int, lineBytes: Int)
    /// Sends a body with that many bytes of trailers, in lines of that many bytes.
    case trailers(bytes: Int, lineBytes: Int)
    /// Sends that many interim heads, nil for no end of them, and then a status 200.
    case interim(count: Int?)
    /// Sends what is no HTTP.
    case garbage

    /// Answers with a status of 200.
    package static let success = Behaviour.answer(200)
    /// Sends the other side on to a service that hands out secrets in many clouds.
    package static let redirectToMetadata = Behaviour.answer(
        302, headers: [("Location", "http://169.254.169.254/latest/meta-data/")])
}
