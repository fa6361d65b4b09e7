# Archives in an image, to run as it is or to copy from. Built in the folder that holds the archives:
#   docker build --file deploy/kubernetes/archives.Dockerfile --tag registry.example.com/flights:1.0 model_store
ARG IMAGE=fastmar:latest
FROM ${IMAGE}
COPY *.mar /models/
