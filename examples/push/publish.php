<?php
// Publish from PHP, without a library.
//
//     WSPLUG_TOKEN=secret php publish.php news weather
//
// WSPLUG_URL is the URL; the default is http://localhost:9000/publish.

/**
 * Publish data as JSON, and return the result for each channel.
 */
function publish(array $channels, mixed $data, bool $store = true): array
{
    $body = json_encode(['channels' => $channels, 'data' => $data, 'store' => $store], JSON_THROW_ON_ERROR);
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            'Authorization: Bearer ' . getenv('WSPLUG_TOKEN'),
            'Content-Type: application/json',
        ],
        'content' => $body,
        'timeout' => 10,
        'ignore_errors' => true, // the response contains the error message
    ]]);
    $url = getenv('WSPLUG_URL') ?: 'http://localhost:9000/publish';
    $answer = file_get_contents($url, false, $context);
    if ($answer === false) {
        throw new RuntimeException("no answer from $url");
    }
    $answer = json_decode($answer, true) ?? ['message' => trim($answer)];
    if (isset($answer['message'])) {
        throw new RuntimeException($answer['message']);
    }
    return $answer['published'];
}

try {
    foreach (publish(array_slice($argv, 1), ['headline' => 'Hello from PHP', 'n' => 1]) as $each) {
        echo "{$each['channel']}: to {$each['subscribers']} subscribers\n";
    }
} catch (RuntimeException $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
    exit(1);
}
