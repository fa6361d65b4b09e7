// Request lists of items with the Go client of openapi-generator. Argument: URL.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	client "example.com/fastmar/generated"
)

func main() {
	configuration := client.NewConfiguration()
	configuration.Servers = client.ServerConfigurations{{URL: os.Args[1]}}
	api := client.NewAPIClient(configuration).PredictionsAPI
	user, title := client.PtrInt64(1), client.PtrString("Alien")
	request := client.NewRecommendRequest(*client.NewNullableInt64(user), 2)
	request.SetSeen([]string{*title})
	recommended, _, err := api.Recommend(context.Background()).RecommendRequest(*request).Execute()
	check(err)
	item := client.NewSimilarRequest(*client.NewNullableString(title), 2)
	similar, _, err := api.Similar(context.Background()).SimilarRequest(*item).Execute()
	check(err)
	check(json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"recommended": recommended, "similar": similar}))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
